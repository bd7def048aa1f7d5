"""What is in force, asked of the kernel by trying: each probe is harmless where nothing stops it."""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import secrets
import socket
from collections.abc import Callable

from mesh.kernel import seccomp
from mesh.kernel.calls import PR_GET_DUMPABLE, PR_GET_NO_NEW_PRIVS, prctl, syscall
from mesh.kernel.numbers import number
from mesh.lockdown.needs import Needs

_LOOPBACK = "127.0.0.1"
_HIGHEST_PORT = 65535


def no_core_dumps() -> bool:
    return resource.getrlimit(resource.RLIMIT_CORE) == (0, 0)


def no_file_growth() -> bool:
    return resource.getrlimit(resource.RLIMIT_FSIZE) == (0, 0)


def not_dumpable() -> bool:
    return prctl(PR_GET_DUMPABLE) == 0


def no_new_privileges() -> bool:
    return prctl(PR_GET_NO_NEW_PRIVS) == 1


def ports_are_closed(needs: Needs) -> bool:
    """A port that isn't needed can neither be bound nor connected to. Landlock says EACCES; the network wouldn't."""
    port = next(port for port in range(_HIGHEST_PORT, 0, -1) if port not in needs.binds | needs.connects)
    with socket.socket() as one, socket.socket() as other:
        return all(_error(call, (_LOOPBACK, port)) == errno.EACCES for call in (one.bind, other.connect))


class Beyond:
    """An abstract socket (unix(7)) that listens from before the domain, as any other process's would."""

    def __init__(self) -> None:
        self._name = f"\0mayfly-{secrets.token_hex(8)}"
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(self._name)
        self._listening.listen(1)

    def is_out_of_reach(self) -> bool:
        with self._listening, socket.socket(socket.AF_UNIX) as probe:
            return _error(probe.connect, self._name) == errno.EPERM


def filtered() -> bool:
    """Whether there is a filter, and it refuses. Without one, these fail for their arguments (EFAULT, EINVAL), or give
    a socket."""
    refused = (
        lambda: syscall(number("memfd_create"), None, 0),
        lambda: syscall(number("shmget"), 0, 0, 0),
        lambda: syscall(number("ptrace"), -1, 0, 0, 0),
        lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).close(),
    )
    return seccomp.in_force() and all(_error(call) == errno.EPERM for call in refused)


def no_writing() -> bool:
    """Whether opening for writing is refused by the filter itself, whatever the file."""
    return _error(os.open, "", os.O_WRONLY) == errno.EPERM


def no_more_processes() -> bool:
    """exec of nothing at all."""
    return _error(lambda: syscall(number("execve"), None, None, None)) == errno.EPERM


def no_more_listening() -> bool:
    """On no descriptor at all, which would be EBADF."""
    return _error(lambda: syscall(number("listen"), -1, 0)) == errno.EPERM


def _error(call: Callable[..., object], *args: object) -> int | None:
    with contextlib.suppress(KeyError):
        try:
            call(*args)
        except OSError as error:
            return error.errno
    return None
