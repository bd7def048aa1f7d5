"""The template: a process of its own, exec'd by the nursery, that imports a module once and forks a child for each job.

``python -m mesh.isolation.template MODULE CONTROL_FD MEMORY_BYTES strict|permissive``. It never sees a job's bytes: it
hands the socket on by which they come, and closes it. MODULE offers ``run`` (child.Function); what it needs is imported
with it. The control socket carries datagrams in order (unix(7), SOCK_SEQPACKET), ``control`` has their layout.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import resource
import select
import signal
import socket
import sys
from dataclasses import dataclass, field
from pathlib import Path

from mesh.isolation import child, control, filters
from mesh.kernel import landlock, seccomp, swap
from mesh.kernel.calls import PR_SET_DUMPABLE, PR_SET_PDEATHSIG, prctl


def main(module: str, fd: int, memory_bytes: int, *, strict: bool) -> None:
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    # A terminal's Ctrl-C and a drain are our parent's business; our end is the control socket's.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    line = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET, 0, fd)
    function: child.Function = importlib.import_module(module).run
    gc.collect()
    gc.freeze()  # children then share these pages for good
    memory = memory_bytes + _address_space()
    # Locks aren't inherited: each child has to lock its own pages, if there is a need to.
    locked = not (swap.is_off() or swap.is_barred()) and swap.lock()
    controls = _lock()
    if strict and not all(controls.values()):
        line.send(control.refusal(controls))
        return
    line.send(control.ready(controls))
    Forking(line, function, memory, strict, locked).serve()


def _address_space() -> int:
    """Bytes that every child starts with. proc_pid_statm(5)."""
    with open("/proc/self/statm", encoding="ascii") as statm:  # noqa: PTH123 - one number
        return int(statm.read().split()[0]) * resource.getpagesize()


def _lock() -> dict[str, bool]:
    """Applies what forking leaves room for; says what is in force."""
    for kind in (resource.RLIMIT_CORE, resource.RLIMIT_FSIZE):
        resource.setrlimit(kind, (0, 0))
    prctl(PR_SET_DUMPABLE, 0)
    with contextlib.suppress(OSError):
        landlock.forbid_everything()
    # Asked before the filter, which would refuse too, and for another reason; of a folder that a service may list.
    held = landlock.in_force(str(Path(os.__file__).parent))
    if seccomp.available():
        seccomp.install(filters.for_template())
    return {control.LANDLOCK: held, control.SECCOMP: seccomp.in_force()}


@dataclass(slots=True)
class Forking:
    """Single-threaded on purpose: a fork copies no lock that another thread holds."""

    line: socket.socket
    function: child.Function
    memory: int
    strict: bool
    locked: bool
    _jobs: dict[int, int] = field(default_factory=dict)  # by the child's pidfd
    _poll: select.poll = field(default_factory=select.poll)

    def serve(self) -> None:
        """Until the parent closes its end; PR_SET_PDEATHSIG takes the children along."""
        self._poll.register(self.line, select.POLLIN)
        while True:
            for fd, _ in self._poll.poll():
                if fd != self.line.fileno():
                    self._reap(fd)
                elif not self._obey():
                    return

    def _obey(self) -> bool:
        message, fds, _, _ = socket.recv_fds(self.line, control.SIZE, 1)
        if not message:
            return False
        kind, job, number = control.unpack(message)
        if kind == control.FORK:
            self._fork(job, fds[0], number)
        else:
            for pidfd, running in self._jobs.items():
                if running == job:
                    signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        return True

    def _fork(self, job: int, fd: int, cpu_seconds: int) -> None:
        template = os.getpid()
        try:
            pid = os.fork()
            if pid == 0:
                child.work(
                    fd,
                    self.function,
                    template=template,
                    cpu_seconds=cpu_seconds,
                    memory_bytes=self.memory,
                    strict=self.strict,
                    locked=self.locked,
                )
            pidfd = os.pidfd_open(pid)
        except OSError:
            self.line.send(control.pack(control.NOT_FORKED, job))
            return
        finally:
            os.close(fd)
        self._jobs[pidfd] = job
        self._poll.register(pidfd, select.POLLIN)

    def _reap(self, pidfd: int) -> None:
        ended = os.waitid(os.P_PIDFD, pidfd, os.WEXITED)
        self._poll.unregister(pidfd)
        os.close(pidfd)
        died = ended is not None and ended.si_code != os.CLD_EXITED
        status = ended.si_status if ended is not None else child.EXIT_BROKEN
        # As Python says it: a signal is negative.
        self.line.send(control.pack(control.ENDED, self._jobs.pop(pidfd), -status if died else status))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), strict=sys.argv[4] == "strict")
