"""Landlock: what of the file system, which TCP ports, and whether anything beyond this process and its children.

Numbers from <linux/landlock.h>; landlock(7), landlock_create_ruleset(2), landlock_add_rule(2),
landlock_restrict_self(2). Written out here: of the two packages that exist, one starts ldconfig to find the C library,
and neither handles all rights that the kernel knows by default.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat
import struct
from collections.abc import Iterable, Mapping
from enum import IntFlag
from pathlib import Path

from mesh.kernel.calls import PR_SET_NO_NEW_PRIVS, prctl, syscall
from mesh.kernel.numbers import number

_VERSION = 1  # LANDLOCK_CREATE_RULESET_VERSION
_PATH_BENEATH, _NET_PORT = 1, 2  # enum landlock_rule_type


class Fs(IntFlag):
    """LANDLOCK_ACCESS_FS_*."""

    EXECUTE = 1 << 0
    WRITE_FILE = 1 << 1
    READ_FILE = 1 << 2
    READ_DIR = 1 << 3
    REMOVE_DIR = 1 << 4
    REMOVE_FILE = 1 << 5
    MAKE_CHAR = 1 << 6
    MAKE_DIR = 1 << 7
    MAKE_REG = 1 << 8
    MAKE_SOCK = 1 << 9
    MAKE_FIFO = 1 << 10
    MAKE_BLOCK = 1 << 11
    MAKE_SYM = 1 << 12
    REFER = 1 << 13
    TRUNCATE = 1 << 14
    IOCTL_DEV = 1 << 15


READ = Fs.READ_FILE | Fs.READ_DIR
WRITE = READ | Fs.WRITE_FILE | Fs.REMOVE_DIR | Fs.REMOVE_FILE | Fs.MAKE_DIR | Fs.MAKE_REG | Fs.REFER | Fs.TRUNCATE
"""Files and folders; no devices, sockets, pipes or links that point elsewhere."""
DEVICE = Fs.READ_FILE | Fs.WRITE_FILE | Fs.IOCTL_DEV
_OF_A_FILE = Fs.EXECUTE | Fs.WRITE_FILE | Fs.READ_FILE | Fs.TRUNCATE | Fs.IOCTL_DEV
# Which file-system rights each ABI knows: 13 in the first, then REFER, TRUNCATE, IOCTL_DEV.
_FS_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15}
BIND, CONNECT = 1, 2  # LANDLOCK_ACCESS_NET_BIND_TCP, _CONNECT_TCP
_NET = BIND | CONNECT
_SCOPED = 0b11  # LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET, LANDLOCK_SCOPE_SIGNAL
ABI_NET, ABI_SCOPES = 4, 6


def abi() -> int:
    """0 where the kernel has no Landlock, or it is switched off."""
    try:
        return syscall(number("landlock_create_ruleset"), None, ctypes.c_size_t(0), ctypes.c_uint32(_VERSION))
    except (OSError, KeyError):
        return 0


def forbid_everything() -> None:
    """For this thread and what it starts from now on; what is open already stays usable. Raises OSError."""
    restrict({})


def restrict(files: Mapping[Path, Fs], ports: Mapping[int, int] | None = None, *, scopes: bool = True) -> None:
    """All of it is forbidden, but this. For this thread and what it starts; domains add up. Raises OSError.

    files:   rights beneath a folder, or of a file. What doesn't exist is left out.
    ports:   TCP port -> BIND, CONNECT or both; port 0 stands for "any that is free". None: no network at all.
    scopes:  no abstract socket and no signal outside of this domain.
    """
    version = abi()
    known = (1 << _FS_RIGHTS.get(version, 16)) - 1
    attributes = struct.pack("Q", known)
    if version >= ABI_NET:
        attributes += struct.pack("Q", _NET)
    if version >= ABI_SCOPES:
        attributes += struct.pack("Q", _SCOPED if scopes else 0)
    create = number("landlock_create_ruleset")
    ruleset = syscall(create, attributes, ctypes.c_size_t(len(attributes)), ctypes.c_uint32(0))
    try:
        for path, rights in files.items():
            _allow_path(ruleset, path, rights & known)
        for port, access in (ports or {}).items() if version >= ABI_NET else ():
            _add(ruleset, _NET_PORT, struct.pack("QQ", access, port))
        prctl(PR_SET_NO_NEW_PRIVS, 1)
        syscall(number("landlock_restrict_self"), ctypes.c_int(ruleset), ctypes.c_uint32(0))
    finally:
        os.close(ruleset)


def in_force(folder: str = "/") -> bool:
    """Asked of the kernel: a folder that everybody may list can't be listed by whom Landlock holds."""
    try:
        os.close(os.open(folder, os.O_RDONLY | os.O_DIRECTORY))
    except PermissionError as error:
        return error.errno == errno.EACCES
    return False


def rights(granted: Iterable[tuple[Iterable[Path], Fs]]) -> dict[Path, Fs]:
    """One mapping of several; a path in two of them has both rights."""
    files: dict[Path, Fs] = {}
    for paths, right in granted:
        for path in paths:
            files[path] = files.get(path, Fs(0)) | right
    return files


def _allow_path(ruleset: int, path: Path, rights: int) -> None:
    try:
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return  # what we can't reach needs no rule
    try:
        if not stat.S_ISDIR(os.fstat(fd).st_mode):
            rights &= _OF_A_FILE
        if rights:
            # struct landlock_path_beneath_attr is packed.
            _add(ruleset, _PATH_BENEATH, struct.pack("=Qi", rights, fd))
    finally:
        os.close(fd)


def _add(ruleset: int, kind: int, rule: bytes) -> None:
    syscall(number("landlock_add_rule"), ctypes.c_int(ruleset), ctypes.c_int(kind), rule, ctypes.c_uint32(0))
