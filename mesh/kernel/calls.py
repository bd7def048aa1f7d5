"""prctl(2), syscall(2) and mlockall(2) by ctypes."""

from __future__ import annotations

import ctypes
import os

# <linux/prctl.h>, prctl(2)
PR_SET_PDEATHSIG = 1
PR_GET_DUMPABLE = 3
PR_SET_DUMPABLE = 4
PR_GET_SECCOMP = 21
PR_SET_SECCOMP = 22
PR_SET_NO_NEW_PRIVS = 38
PR_GET_NO_NEW_PRIVS = 39

# <linux/sched.h>, clone(2)
CLONE_THREAD = 0x10000
CLONE_NEW = 0x7E020000
"""Any new namespace: of mounts, cgroups, names, IPC, users, processes, networks. One of clocks takes clone3."""

# <linux/mman.h>, mlock(2). ONFAULT: pages are locked when they are first touched, not all of the address space at once.
_MCL_CURRENT, _MCL_FUTURE, _MCL_ONFAULT = 1, 2, 4

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long
if hasattr(_libc, "prctl"):  # Linux
    _libc.prctl.argtypes = (ctypes.c_int, *[ctypes.c_ulong] * 4)


def syscall(number: int, *args: object) -> int:
    """Raises OSError."""
    return _checked(_libc.syscall(ctypes.c_long(number), *args))


def prctl(option: int, a: int = 0, b: int = 0) -> int:
    """Raises OSError."""
    return _checked(_libc.prctl(option, a, b, 0, 0))


def lock_pages() -> None:
    """No page of this process goes to swap from now on. Not inherited by children. Raises OSError."""
    _checked(_libc.mlockall(_MCL_CURRENT | _MCL_FUTURE | _MCL_ONFAULT))


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result
