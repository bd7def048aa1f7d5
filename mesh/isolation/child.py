"""The child: one job. Locks itself, and only then reads its first byte."""

from __future__ import annotations

import gc
import os
import resource
import signal
from collections.abc import Callable, Sequence
from typing import NoReturn

from mesh.isolation import filters, wire
from mesh.isolation.outcome import Refused
from mesh.isolation.wire import Buffer
from mesh.kernel import seccomp
from mesh.kernel.calls import PR_SET_DUMPABLE, PR_SET_PDEATHSIG, lock_pages, prctl

Function = Callable[[Sequence[memoryview]], Sequence[Buffer]]
"""Parts in, parts of the answer out. Raises Refused; MemoryError is told; anything else is a crash."""

EXIT_BROKEN, EXIT_UNLOCKED, EXIT_MEMORY = 70, 71, 72
_HIGHEST_FD = 1 << 20


def work(
    fd: int, function: Function, *, template: int, cpu_seconds: int, memory_bytes: int, strict: bool, locked: bool
) -> NoReturn:
    """memory_bytes: the whole address space, the template's part of it included. locked: keep its pages from swap."""
    try:
        os.closerange(0, fd)
        os.closerange(fd + 1, _HIGHEST_FD)
        gc.disable()  # it would touch, and so copy, pages that are the template's
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        prctl(PR_SET_DUMPABLE, 0)
        if os.getppid() != template:
            os._exit(EXIT_UNLOCKED)
        if locked:
            lock_pages()
        _limit(cpu_seconds, memory_bytes)
        if strict or seccomp.available():
            seccomp.install(filters.for_computing(os.getpid()))
    except BaseException:
        os._exit(EXIT_UNLOCKED)
    try:
        _answer(fd, function)
    except MemoryError:
        os._exit(EXIT_MEMORY)
    except BaseException:
        os._exit(EXIT_BROKEN)
    os._exit(0)


def _limit(cpu_seconds: int, memory_bytes: int) -> None:
    """setrlimit(2). No new descriptor: the one it has is enough.

    Not RLIMIT_NPROC: it counts every process and thread of the user, here and elsewhere, so a number that lets a
    decoder have its thread bounds nothing, and root isn't bound at all. The filter refuses new processes by what they
    are.
    """
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_seconds, cpu_seconds + 1))
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    for kind in (resource.RLIMIT_FSIZE, resource.RLIMIT_CORE, resource.RLIMIT_NOFILE):
        resource.setrlimit(kind, (0, 0))


def _answer(fd: int, function: Function) -> None:
    try:
        answer = function(wire.read_input(fd))
    except Refused as refused:
        wire.write_answer(fd, wire.REFUSAL, (refused.code.encode("ascii"),))
    except MemoryError:
        wire.write_answer(fd, wire.MEMORY, ())
    else:
        wire.write_answer(fd, wire.RESULT, answer)
