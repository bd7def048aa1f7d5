"""A template process, seen from its parent: started, asked for children, told to kill them, heard of their ends."""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import signal
import socket

from mesh.isolation import control
from mesh.isolation.nursery import Nursery, NurseryGone
from mesh.tasks import finish

_START_SECONDS = 60.0


class TemplateGone(Exception):
    """There is no template, or it could not fork."""


class TemplateProcess:
    """All methods are called on one event loop."""

    def __init__(self, nursery: Nursery) -> None:
        self._nursery = nursery
        self._pid, self._pidfd = 0, -1
        self.controls: dict[str, bool] = {}
        self._line: socket.socket | None = None
        self._listening: asyncio.Task[None] | None = None
        self._ends: dict[int, asyncio.Future[int]] = {}
        self._jobs = 0

    @property
    def alive(self) -> bool:
        return self._listening is not None and not self._listening.done()

    @property
    def pid(self) -> int:
        """0 before the start."""
        return self._pid

    async def start(self, module: str, *, memory_bytes: int, strict: bool) -> bool:
        """Returns when it serves (True) or refuses to for want of a control. Raises TemplateGone if it died."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        self._line = ours
        try:
            self._pid, self._pidfd = self._nursery.template(
                theirs.fileno(), module, memory_bytes=memory_bytes, strict=strict
            )
        except NurseryGone:
            await self.stop()
            raise TemplateGone from None
        finally:
            theirs.close()
        try:
            async with asyncio.timeout(_START_SECONDS):
                greeting = await asyncio.get_running_loop().sock_recv(ours, control.SIZE)
        except (OSError, TimeoutError):
            greeting = b""
        if not greeting:
            await self.stop()
            raise TemplateGone
        serves, self.controls = control.greeting(greeting)
        if serves:
            self._listening = asyncio.create_task(self._listen(ours))
        return serves

    async def stop(self) -> None:
        """Ends it and, through it, its children; returns when it is no more."""
        self.kill_at_once()
        if self._pidfd >= 0:
            await asyncio.to_thread(_await_end, self._pidfd)
            os.close(self._pidfd)
            self._pidfd = -1
        if self._listening is not None:
            await finish(self._listening)
        if self._line is not None:
            self._line.close()
        self._fail()

    def kill_at_once(self) -> None:
        """SIGKILL, for a template that doesn't answer; the kernel kills its children with it."""
        if self._pidfd >= 0:
            with contextlib.suppress(OSError):
                signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)

    def fork(self, fd: int, cpu_seconds: int) -> tuple[int, asyncio.Future[int]]:
        """A child for ``fd``; its number, and its exit status to come. Raises TemplateGone, also from the future."""
        if not self.alive or self._line is None:
            raise TemplateGone
        self._jobs += 1
        ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        try:
            socket.send_fds(self._line, [control.pack(control.FORK, self._jobs, cpu_seconds)], [fd])
        except OSError:
            raise TemplateGone from None
        self._ends[self._jobs] = ended
        return self._jobs, ended

    def kill(self, job: int) -> None:
        """SIGKILL for one child. Its end is still to be waited for."""
        if self._line is not None:
            with contextlib.suppress(OSError):
                self._line.send(control.pack(control.KILL, job))

    async def _listen(self, line: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        with contextlib.suppress(OSError):
            while message := await loop.sock_recv(line, control.SIZE):
                kind, job, status = control.unpack(message)
                ended = self._ends.pop(job, None)
                if ended is None or ended.done():
                    continue
                if kind == control.ENDED:
                    ended.set_result(status)
                else:
                    _gone(ended)
        self._fail()

    def _fail(self) -> None:
        while self._ends:
            _, ended = self._ends.popitem()
            if not ended.done():
                _gone(ended)


def _await_end(pidfd: int) -> None:
    """Blocks until the process is gone, memory and all (pidfd_open(2))."""
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    poll.poll()


def _gone(ended: asyncio.Future[int]) -> None:
    ended.set_exception(TemplateGone())
    ended.exception()  # whoever waits still gets it; nobody has to
