"""Why a service did not start, in its own words."""

from __future__ import annotations

from pathlib import Path

from mesh.errors import ConfigError

_TAIL_BYTES = 16 << 10
_TAKEN = ("can't be bound", "Address already in use")


class StartFailed(ConfigError):
    """The mesh can't start; the message is the line that the service left."""


class PortTaken(StartFailed):
    """Somebody else was faster; other ports may do."""


def explain(name: str, log: Path, code: int | None) -> StartFailed:
    """What ``name`` said last. code: its exit status, None while it runs without becoming ready."""
    lines = [line for line in _tail(log) if line and not line.startswith("{")]
    own = [line for line in lines if line.startswith(f"{name}: ")]
    said = (own or lines or [""])[-1]
    if any(words in line for words in _TAKEN for line in lines):
        return PortTaken(said)
    if own:
        return StartFailed(said)
    what = "did not become ready in time" if code is None else f"ended at its start with status {code}"
    return StartFailed(f"{name} {what}{f' ({said})' if said else ''}; its log is {log}.")


def _tail(log: Path) -> list[str]:
    try:
        return log.read_bytes()[-_TAIL_BYTES:].decode(errors="replace").splitlines()
    except OSError:
        return []
