"""The nursery's process: starts templates when it is told to, and does nothing else.

``python -m mesh.isolation.nursery_process CONTROL_FD``. A service that may not exec any more has it from before. It has
one thread, no job's bytes and no descriptor but its socket and /dev/null; what it starts inherits its environment, and
the service's limits, Landlock domain and filter.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys

from mesh.isolation import control
from mesh.kernel import seccomp
from mesh.kernel.calls import PR_SET_DUMPABLE, PR_SET_PDEATHSIG, prctl
from mesh.lockdown import filters

_TEMPLATE_FD = 3


def main(fd: int) -> None:
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    prctl(PR_SET_DUMPABLE, 0)
    if seccomp.available():
        seccomp.install(filters.for_the_serving())  # nothing here ever listens, nor in what it starts
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel then buries the dead by itself
    os.chdir("/")
    os.set_inheritable(fd, False)
    line = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET, 0, fd)
    while True:
        message, fds, _, _ = socket.recv_fds(line, control.SIZE, 1)
        if not message:
            return
        _start(line, message.decode("utf-8").split("\0"), fds[0])


def _start(line: socket.socket, words: list[str], fd: int) -> None:
    """words: the template's arguments, in which its descriptor's number is left out. Answers pid and pidfd, or 0."""
    module, *rest = words
    argv = [sys.executable, "-P", "-s", "-m", "mesh.isolation.template", module, str(_TEMPLATE_FD), *rest]
    os.set_inheritable(fd, fd == _TEMPLATE_FD)
    actions = [] if fd == _TEMPLATE_FD else [(os.POSIX_SPAWN_DUP2, fd, _TEMPLATE_FD)]
    try:
        pid = os.posix_spawn(
            sys.executable, argv, os.environ, file_actions=actions,
            setsigdef=(signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD),
        )  # fmt: skip
        pidfd = os.pidfd_open(pid)
    except OSError:
        line.send(b"0")
        return
    finally:
        os.close(fd)
    with contextlib.suppress(OSError):
        socket.send_fds(line, [b"%d" % pid], [pidfd])
    os.close(pidfd)


if __name__ == "__main__":
    main(int(sys.argv[1]))
