"""Strict or permissive: whether a process may serve where the kernel can't hold its decoders."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from mesh.errors import ConfigError
from mesh.isolation import landlock, seccomp
from mesh.isolation.control import LANDLOCK, SECCOMP
from mesh.log import get_logger

Isolation = Literal["strict", "permissive"]
"""permissive: serve all the same, and shout. For development on other systems."""

_log = get_logger()


def available() -> dict[str, bool]:
    """What this kernel offers; applies nothing."""
    return {LANDLOCK: landlock.abi() > 0, SECCOMP: seccomp.available()}


def accept(isolation: Isolation, controls: Mapping[str, bool]) -> None:
    """Raises ConfigError, one line, when strict and a control is missing; shouts when permissive."""
    missing = [control for control, held in controls.items() if not held]
    if missing and isolation == "strict":
        raise ConfigError(
            f"this kernel can't hold decoders ({', '.join(missing)} missing); "
            "MAYFLY_ISOLATION=permissive serves without, for development only"
        )
    for control in missing:
        _log.critical("decoders_not_isolated", control=control)
