"""What a log line may say: the one list, for whoever writes lines and for whoever keeps them."""

from __future__ import annotations

import re

# Values are short words, numbers or random ids; never anything that a user, a photo or a client chose.
_WORD = re.compile(r"[A-Za-z0-9_.:/\[\]@+ -]{0,200}")
# What happened, as a constant of the code: no sentence, into which a value could have been formatted.
_EVENT = re.compile(r"[a-z][a-z0-9_]{0,63}")
ALLOWED = frozenset(
    re.findall(
        r"\w+",
        """
        event level timestamp service instance epoch photo_id reason outcome code method holder peer address ops_address
        seconds count bytes sequence error_type error_at control fact setting state signal version engine scene_id step
        attempt origin index size registry trace_id span_id
        """,
    )
)


def is_allowed(key: str, value: object) -> bool:
    return key in ALLOWED and _is_safe(key, value)


def _is_safe(key: str, value: object) -> bool:
    # Exact types: what an exception or a message would turn into as a string is nobody's word.
    if isinstance(value, str):
        return (_EVENT if key == "event" else _WORD).fullmatch(value) is not None
    return isinstance(value, bool | int | float)
