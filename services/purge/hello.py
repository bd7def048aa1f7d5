"""The first message of a custody stream, checked: what stands in it reaches receipts, which hold no free text."""

from __future__ import annotations

import re
from dataclasses import dataclass

from mesh.errors import Invalid
from services.purge import keys

# The receipt's own patterns (receipt.py) are as narrow; a receipt must never fail for what a holder said.
_SERVICES = frozenset({"gateway", "ingest", "render"})
_INSTANCE = re.compile(r"[a-z0-9][a-z0-9.-]{0,62}")
_EPOCH = re.compile(r"[0-9a-f]{16}")
_CONTROL = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")
_PROCESSOR = re.compile(r"[a-z0-9][a-z0-9_.:/@+-]{0,127}")
_MOST = 64  # controls, processors


@dataclass(frozen=True, slots=True)
class Hello:
    """Who speaks. service: from the caller's certificate. held: photo_ids that it holds right now.

    Raises Invalid for anything that could not stand in a receipt.
    """

    service: str
    instance: str
    epoch: str
    held: tuple[str, ...] = ()
    controls: tuple[str, ...] = ()
    processors: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _check(self.service in _SERVICES, "service", "This service holds no photos.")
        _check(_INSTANCE.fullmatch(self.instance), "instance", "An instance is a lowercase name, at most 63 long.")
        _check(_EPOCH.fullmatch(self.epoch), "epoch", "An epoch has 16 lowercase hex digits.")
        _check(all(map(keys.is_photo_id, self.held)), "held_photo_ids", "A photo_id has 32 lowercase hex digits.")
        controls, processors = self.controls, self.processors
        _check(
            len(controls) <= _MOST and all(map(_CONTROL.fullmatch, controls)),
            "lockdown_controls", "Controls are at most 64 plain names.",
        )  # fmt: skip
        _check(
            len(processors) <= _MOST and all(map(_PROCESSOR.fullmatch, processors)),
            "processors", "Processors are at most 64 plain names.",
        )  # fmt: skip

    @property
    def place(self) -> str:
        """The place in the deployment: "service/instance"."""
        return f"{self.service}/{self.instance}"

    @property
    def holder(self) -> str:
        """The process: "service/instance/epoch"."""
        return f"{self.place}/{self.epoch}"


def check_holders(holders: tuple[str, ...]) -> tuple[str, ...]:
    """Holders as the gateway names them. Raises Invalid for one that no Hello could have."""
    _check(len(holders) <= _MOST, "holders", "At most 64 holders are named.")
    for holder in holders:
        service, _, rest = holder.partition("/")
        instance, _, epoch = rest.partition("/")
        Hello(service, instance, epoch)
    return holders


def _check(condition: object, field: str, sentence: str) -> None:
    if not condition:
        raise Invalid("CUSTODY_MALFORMED", sentence, field=field)
