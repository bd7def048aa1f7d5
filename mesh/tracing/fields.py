"""What a span may say: the one list of attributes, each with the values that it can have (rule R7).

Names are OpenTelemetry's semantic conventions where there is one, and begin with ``mayfly.`` otherwise. A size in bytes
is not among them: the exact size of a file tells one photo from another.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

Value: TypeAlias = str | int

_WORD = re.compile(r"[a-z][a-z0-9_]{0,63}")
"""A constant of the code, or an id of the catalogue of scenes."""


@dataclass(frozen=True, slots=True)
class Field:
    """attribute: its name in a span. values: of what form a text is; None: a whole number from 0 to 1000."""

    attribute: str
    values: re.Pattern[str] | None


ALLOWED: Mapping[str, Field] = {
    "cost": Field("mayfly.cost", _WORD),
    "error_type": Field("error.type", re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")),
    "exception_type": Field("exception.type", re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")),
    "outcome": Field("mayfly.outcome", _WORD),
    "photo_id": Field("mayfly.photo_id", re.compile(r"[0-9a-f]{32}")),
    "reason": Field("mayfly.reason", re.compile(r"[A-Z][A-Z0-9_]{0,63}")),
    "rpc_method": Field("rpc.method", re.compile(r"[A-Z][A-Za-z]{0,63}")),
    "rpc_service": Field("rpc.service", re.compile(r"[a-z0-9.]{1,64}\.[A-Z][A-Za-z]{0,63}")),
    "rpc_status": Field("rpc.grpc.status_code", None),
    "rpc_system": Field("rpc.system", re.compile("grpc")),
    "scene_id": Field("mayfly.scene_id", _WORD),
    "service_class": Field("mayfly.service_class", _WORD),
}
"""By the names that the code uses."""
ATTRIBUTES = frozenset(field.attribute for field in ALLOWED.values())
"""Every attribute that can leave a process."""
_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}|[a-z0-9.]{1,64}\.[A-Z][A-Za-z]{0,63}/[A-Z][A-Za-z]{0,63}")
_MOST = 1000

withheld = 0
"""How many values and names were not set since the start."""


def allowed(fields: Mapping[str, object]) -> dict[str, Value]:
    """The attributes of a span or an event; what isn't allowed is counted instead."""
    attributes: dict[str, Value] = {}
    for key, value in fields.items():
        field = ALLOWED.get(key)
        if field is not None and _is_safe(field, value):
            attributes[field.attribute] = value  # type: ignore[assignment] # _is_safe has looked
        else:
            _withhold()
    return attributes


def name(value: str) -> str:
    """The name of a span or an event: a word of the code, or a method's; ``withheld`` if it is anything else."""
    if _NAME.fullmatch(value):
        return value
    _withhold()
    return "withheld"


def _is_safe(field: Field, value: object) -> bool:
    # Exact types: what anything else would turn into as a string is nobody's word.
    if type(value) is str:
        return field.values is not None and field.values.fullmatch(value) is not None
    return type(value) is int and field.values is None and 0 <= value <= _MOST


def _withhold() -> None:
    global withheld  # noqa: PLW0603 - one process, one count; read by the metrics collector
    withheld += 1
