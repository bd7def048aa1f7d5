"""What holds decoders, and whether this kernel has it."""

from __future__ import annotations

from mesh.isolation.control import LANDLOCK, SECCOMP
from mesh.kernel import landlock, seccomp


def available() -> dict[str, bool]:
    """What this kernel offers; applies nothing."""
    return {LANDLOCK: landlock.abi() > 0, SECCOMP: seccomp.available()}
