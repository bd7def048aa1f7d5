"""prctl(2) and syscall(2) by ctypes: what Python's ``os`` doesn't offer."""

from __future__ import annotations

import ctypes
import os

# <linux/prctl.h>, prctl(2)
PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_GET_SECCOMP = 21
PR_SET_SECCOMP = 22
PR_SET_NO_NEW_PRIVS = 38

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long
_libc.prctl.argtypes = (ctypes.c_int, *[ctypes.c_ulong] * 4)


def syscall(number: int, *args: object) -> int:
    """Raises OSError."""
    return _checked(_libc.syscall(ctypes.c_long(number), *args))


def prctl(option: int, a: int = 0, b: int = 0) -> int:
    """Raises OSError."""
    return _checked(_libc.prctl(option, a, b, 0, 0))


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result
