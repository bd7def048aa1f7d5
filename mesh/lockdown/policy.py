"""Strict or permissive: whether a process may serve although a control is missing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from mesh.errors import ConfigError
from mesh.log import get_logger

Strictness = Literal["strict", "permissive"]
"""permissive: serve all the same, and shout. For development on other systems."""
PERMISSIVE = "lockdown_permissive"
"""Stands among the controls, and so in metrics and every receipt, of a process that would serve without them."""

REMEDIES = {
    "no_inherited_files": "stdout or stderr is a file or a disk; let it be a pipe, a terminal or a socket",
    "freed_memory_overwritten": "needs glibc 2.34 or newer, on its own: no other allocator preloaded",
    "no_core_dumps": "RLIMIT_CORE can't be set to 0",
    "no_file_growth": "RLIMIT_FSIZE can't be set to 0",
    "no_swap": "swap is on: swapoff -a, or a control group with memory.swap.max=0, or ulimit -l unlimited",
    "not_dumpable": "prctl(PR_SET_DUMPABLE) is refused; let the container's seccomp profile allow it",
    "no_new_privileges": "prctl(PR_SET_NO_NEW_PRIVS) is refused; let the container's seccomp profile allow it",
    "landlock_files": "needs Linux 6.7 with landlock in lsm=, and a container's seccomp profile that allows it",
    "landlock_tcp": "needs Landlock's ABI 4, Linux 6.7",
    "landlock_scopes": "Landlock's scopes don't hold",
    "seccomp": "needs seccomp filters, on x86-64 or AArch64",
    "no_exec": "needs seccomp filters, on x86-64 or AArch64",
    "no_more_listening": "needs seccomp filters, on x86-64 or AArch64",
    "decoders_landlock": "decoders need Landlock",
    "decoders_seccomp": "decoders need seccomp filters",
}
"""What a control takes where it is missing."""
_log = get_logger()


def announce(strictness: Strictness) -> None:
    """A process that would serve without its controls says so, also where none is missing today."""
    if strictness == "permissive":
        _log.critical(PERMISSIVE)


def accept(controls: Mapping[str, bool], strictness: Strictness) -> None:
    """Raises ConfigError, one line, when strict and a control is missing; shouts when permissive."""
    missing = [control for control, held in controls.items() if not held]
    if missing and strictness == "strict":
        reasons = dict.fromkeys(REMEDIES[control] for control in missing)
        raise ConfigError(
            f"lockdown is incomplete without {', '.join(missing)} ({'; '.join(reasons)}). "
            "MAYFLY_LOCKDOWN=permissive serves all the same, for development only."
        )
    for control in missing:
        _log.critical("lockdown_incomplete", control=control)
