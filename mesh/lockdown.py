"""The controls that a process applies to itself before it handles a photo.

Each control is read back from the kernel: what is reported is what is in force, not what was asked for.
"""

from __future__ import annotations

import ctypes
import resource

# Numbers from <linux/prctl.h>, prctl(2).
_PR_GET_DUMPABLE, _PR_SET_DUMPABLE = 3, 4
_PR_SET_NO_NEW_PRIVS, _PR_GET_NO_NEW_PRIVS = 38, 39


def apply() -> dict[str, bool]:
    """Applies every control; returns control -> in force."""
    libc = ctypes.CDLL(None, use_errno=True)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    return {
        "no_core_dumps": resource.getrlimit(resource.RLIMIT_CORE) == (0, 0),
        "not_dumpable": libc.prctl(_PR_GET_DUMPABLE, 0, 0, 0, 0) == 0,
        "no_new_privileges": libc.prctl(_PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1,
        "no_swap": _swap_is_off(),
    }


def _swap_is_off() -> bool:
    """True if the kernel has no swap area (/proc/swaps has its header line only); False where that can't be seen."""
    try:
        with open("/proc/swaps", encoding="ascii") as table:  # noqa: PTH123 - one line, before pathlib is needed
            return len(table.readlines()) <= 1
    except OSError:
        return False
