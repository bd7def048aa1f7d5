"""What parent and template say to each other: one small datagram each."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from typing import Final

FORK: Final = b"J"  # job, CPU seconds; the job's socket comes along (SCM_RIGHTS, unix(7))
KILL: Final = b"K"  # job
ENDED: Final = b"E"  # job, exit status, or minus the signal
NOT_FORKED: Final = b"F"  # job
READY: Final = b"R"  # then JSON: control -> in force
REFUSED: Final = b"X"  # the same, when one is missing that must not be

LANDLOCK, SECCOMP = "decoders_landlock", "decoders_seccomp"

_MESSAGE = struct.Struct("<cQi")
SIZE = 4096


def pack(kind: bytes, job: int, number: int = 0) -> bytes:
    return _MESSAGE.pack(kind, job, number)


def unpack(message: bytes) -> tuple[bytes, int, int]:
    kind, job, number = _MESSAGE.unpack(message)
    return kind, job, number


def ready(controls: Mapping[str, bool]) -> bytes:
    return READY + json.dumps(controls).encode("ascii")


def refusal(controls: Mapping[str, bool]) -> bytes:
    return REFUSED + json.dumps(controls).encode("ascii")


def greeting(message: bytes) -> tuple[bool, dict[str, bool]]:
    """(whether it serves, which controls are in force)."""
    controls = json.loads(message[1:]) if message else {}
    return message[:1] == READY, {str(name): bool(held) for name, held in controls.items()}
