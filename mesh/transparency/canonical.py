"""One value, one spelling: the JSON and base64 forms in which no byte can change unnoticed.

For what Mayfly writes (ASCII keys, strings, integers, numbers rounded to a millisecond) the JSON form is RFC 8785's.
Base64 is RFC 4648 section 4 with padding, and with zero in the bits that padding leaves over (section 3.5).
"""

from __future__ import annotations

import base64
import binascii
import json

from mesh.transparency.errors import VerificationError

_UNREADABLE = (ValueError, TypeError, RecursionError)
# json.dumps would build an encoder for each call that has options.
_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def to_json(value: object) -> bytes:
    """UTF-8, keys sorted, no whitespace, no NaN. Raises ValueError or TypeError for what JSON can't hold."""
    return _ENCODER.encode(value).encode()


def from_json(data: bytes, check: str) -> object:
    """The value of ``data``, which must be byte-equal to its own canonical form.

    The comparison refuses all at once: whitespace, duplicate keys, other escapes, trailing bytes, other number forms.
    Raises VerificationError(check, ...).
    """
    try:
        value: object = json.loads(data.decode())
        again = to_json(value)
    except _UNREADABLE as error:
        raise VerificationError(check, "This is not JSON.") from error
    if again != data:
        raise VerificationError(check, "This JSON is not in its canonical form; a byte of it was changed.")
    return value


def fields(value: object, names: frozenset[str], check: str) -> dict[str, object]:
    """``value`` as an object with exactly these keys: nothing unknown, nothing missing. Raises VerificationError."""
    if not isinstance(value, dict) or value.keys() != names:
        raise VerificationError(check, f"Expected exactly the fields {', '.join(sorted(names))}.")
    return value


def text(value: object, check: str) -> str:
    """``value``, which must be a string. Raises VerificationError."""
    if not isinstance(value, str):
        raise VerificationError(check, "A field that must be text is not.")
    return value


def items(value: object, check: str) -> list[object]:
    """``value``, which must be a list. Raises VerificationError."""
    if not isinstance(value, list):
        raise VerificationError(check, "A field that must be a list is not.")
    return value


def to_base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def from_base64(value: object, check: str) -> bytes:
    """The bytes of a canonical base64 string. Raises VerificationError(check, ...) for any other spelling of them."""
    try:
        data = base64.b64decode(text(value, check), validate=True)
    except (binascii.Error, ValueError) as error:
        raise VerificationError(check, "This is not base64.") from error
    if to_base64(data) != value:
        raise VerificationError(check, "This base64 is not in its canonical form; a character of it was changed.")
    return data
