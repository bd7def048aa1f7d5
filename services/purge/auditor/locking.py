"""What the auditor gives up, before it reads anything of anybody: it may look everywhere, so it must keep nothing.

No core dump, no reader of its own memory, no swap, no new privileges, and a filter that refuses to open any file for
writing and to make any place to hide bytes in. What it needs stays: to read other processes' memory (CAP_SYS_PTRACE is
kept), and to start its two kinds of children. Landlock is not among it: a process in a domain may not look into one
outside of it, whatever capabilities it has (Landlock's "Ptrace restrictions").
"""

from __future__ import annotations

import contextlib
import resource
from collections.abc import Callable, Mapping

from mesh.kernel import seccomp, swap
from mesh.kernel.calls import PR_SET_DUMPABLE, PR_SET_NO_NEW_PRIVS, prctl
from mesh.lockdown import filters, probes
from mesh.lockdown.policy import Strictness, accept


def lock(strictness: Strictness) -> Mapping[str, bool]:
    """Control → in force, as for services. All files that it writes, its key, must be there; children inherit it.

    Raises ConfigError, one line, when strict and a control is missing; shouts when permissive.
    """
    _try(resource.setrlimit, resource.RLIMIT_CORE, (0, 0))
    _try(prctl, PR_SET_DUMPABLE, 0)
    _try(prctl, PR_SET_NO_NEW_PRIVS, 1)
    if seccomp.available():
        # Redis may be at a unix socket.
        _try(seccomp.install_for_all_threads, filters.for_service(writes=False, unix_sockets=True))
    held = {
        "no_core_dumps": probes.no_core_dumps(),
        "not_dumpable": probes.not_dumpable(),
        "no_new_privileges": probes.no_new_privileges(),
        "no_swap": swap.is_off() or swap.is_barred() or swap.lock(),
        "seccomp": probes.filtered() and probes.no_writing(),
    }
    accept(held, strictness)
    return held


def _try(step: Callable[..., object], *args: object) -> None:
    """What fails is known by what is then not in force."""
    with contextlib.suppress(OSError, ValueError, KeyError):
        step(*args)
