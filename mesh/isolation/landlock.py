"""Landlock with no rule at all: no file system, no TCP, no socket or signal beyond this process and its children.

Numbers from <linux/landlock.h>; landlock(7), landlock_create_ruleset(2), landlock_restrict_self(2). Written out here,
because the two packages that exist know more than is needed (rules), and one of them starts ldconfig to find the C
library; with nothing to allow, Landlock is two system calls.
"""

from __future__ import annotations

import ctypes
import os
import struct

from mesh.isolation.kernel import PR_SET_NO_NEW_PRIVS, prctl, syscall

# The same on every architecture.
_CREATE_RULESET, _RESTRICT_SELF = 444, 446
_VERSION = 1  # LANDLOCK_CREATE_RULESET_VERSION

# Which file-system rights each ABI knows: 13 in the first, then REFER, TRUNCATE, IOCTL_DEV.
_FS_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
_NET = 0b11  # bind and connect TCP, from ABI 4
_SCOPED = 0b11  # abstract unix sockets and signals, from ABI 6


def abi() -> int:
    """0 where the kernel has no Landlock, or it is switched off."""
    try:
        return syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(_VERSION))
    except OSError:
        return 0


def forbid_everything() -> None:
    """For this thread and what it forks from now on; what is open already stays usable. Raises OSError."""
    version = abi()
    rights = (1 << _FS_RIGHTS.get(version, 16)) - 1
    attributes = struct.pack("Q", rights)
    if version >= 4:
        attributes += struct.pack("Q", _NET)
    if version >= 6:
        attributes += struct.pack("Q", _SCOPED)
    ruleset = syscall(_CREATE_RULESET, attributes, ctypes.c_size_t(len(attributes)), ctypes.c_uint32(0))
    try:
        prctl(PR_SET_NO_NEW_PRIVS, 1)
        syscall(_RESTRICT_SELF, ctypes.c_int(ruleset), ctypes.c_uint32(0))
    finally:
        os.close(ruleset)


def in_force() -> bool:
    """Asked of the kernel: the root folder can be opened by everybody whom Landlock doesn't hold."""
    try:
        os.close(os.open("/", os.O_RDONLY | os.O_DIRECTORY))
    except PermissionError:
        return True
    return False
