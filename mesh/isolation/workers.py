"""A bounded number of children over untrusted bytes, one for each job: the parent's side."""

from __future__ import annotations

import asyncio
import math
import signal
import socket
import time
from collections.abc import Callable, Mapping, Sequence

from mesh.errors import ConfigError, MeshError, Unavailable
from mesh.isolation import child, wire
from mesh.isolation.conversation import Garbled, NoAnswer, converse, until_gone
from mesh.isolation.metrics import IsolationMetrics
from mesh.isolation.nursery import Nursery
from mesh.isolation.outcome import CODE, Outcome
from mesh.isolation.template_process import TemplateGone, TemplateProcess
from mesh.isolation.wire import Buffer
from mesh.lockdown.policy import Strictness, accept
from mesh.log import get_logger
from mesh.tasks import outlast
from mesh.tracing import spans

_log = get_logger()
_GONE_WITHIN = 5.0
"""Seconds that a killed child may take to be gone before its template is killed with it."""

Errors = Mapping[str, Callable[[], MeshError]]
"""A refusal's code, or an outcome's name, to what the caller is told."""


class Ended(Exception):
    """A job's end without a result."""

    def __init__(self, outcome: Outcome, code: str = "") -> None:
        super().__init__(outcome)
        self.outcome = outcome
        self.code = code


class Workers:
    """A component. ``module`` offers ``run``, see ``child.Function``.

    children:      jobs at the same time; further ones wait, and their bytes with them.
    memory_bytes:  of one child, beyond what the template has already: RLIMIT_AS.
    answer_bytes:  the largest answer.
    errors:        must know ``crashed``; outcomes that it doesn't know count as that. A refusal with a code that it
                   doesn't know is ``garbled``.
    nursery:       the service's; one of its own, made at the start, where there is none and exec isn't refused.
    """

    def __init__(
        self,
        module: str,
        *,
        children: int,
        memory_bytes: int,
        answer_bytes: int,
        errors: Errors,
        metrics: IsolationMetrics,
        strictness: Strictness = "strict",
        nursery: Nursery | None = None,
    ) -> None:
        self._module = module
        self._memory = memory_bytes
        self._most = answer_bytes
        self._errors = errors
        self._metrics = metrics
        self._strictness: Strictness = strictness
        self._own_nursery = nursery is None
        self._nursery = nursery or Nursery()
        self._free = asyncio.Semaphore(children)
        self._starting = asyncio.Lock()
        self._template = TemplateProcess(self._nursery)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopped = False

    @property
    def ready(self) -> bool:
        return self._template.alive

    @property
    def template_pid(self) -> int:
        return self._template.pid

    @property
    def controls(self) -> dict[str, bool]:
        """What the template's kernel says is in force."""
        return dict(self._template.controls)

    async def start(self) -> None:
        """Raises ConfigError: a control is missing, or the module doesn't load."""
        self._loop = asyncio.get_running_loop()
        if self._own_nursery:
            self._nursery.start()
        try:
            await self._living_template()
        except TemplateGone:
            raise ConfigError(f"the decoders' process ({self._module}) does not start") from None

    async def stop(self) -> None:
        self._stopped = True
        await self._template.stop()
        if self._own_nursery:
            await asyncio.to_thread(self._nursery.stop)

    async def run(self, payload: Sequence[Buffer], *, seconds: float) -> bytearray:
        """The function's answer, its parts joined. ``seconds``: of clock and, rounded up, of CPU, once a child is free.

        Whatever happens, and when cancelled too, this returns only once the child is gone, memory and all.
        Raises what ``errors`` says, or Unavailable.
        """
        with spans.span("decoder"):
            return await self._run(payload, seconds)

    async def _run(self, payload: Sequence[Buffer], seconds: float) -> bytearray:
        async with self._free:
            spans.event("started")
            began = time.perf_counter()
            self._metrics.running.inc()
            outcome, code = Outcome.CANCELLED, ""
            try:
                answer = await self._job(payload, seconds)
                outcome = Outcome.OK
                return answer
            except Ended as ended:
                outcome, code = ended.outcome, ended.code
            finally:
                spans.note(outcome=outcome.value)
                self._metrics.running.dec()
                self._metrics.jobs[outcome].inc()
                self._metrics.seconds.observe(time.perf_counter() - began)
        # From here, so that no frame that had the payload hangs on the error.
        raise self._error(outcome, code)

    def run_sync(self, payload: Sequence[Buffer], *, seconds: float) -> bytearray:
        """``run``, for another thread than the event loop's."""
        if self._loop is None:
            raise RuntimeError("not started")
        return asyncio.run_coroutine_threadsafe(self.run(payload, seconds=seconds), self._loop).result()

    def _error(self, outcome: Outcome, code: str) -> MeshError:
        if outcome is Outcome.UNAVAILABLE:
            return Unavailable("DECODER_UNAVAILABLE", "No decoder is free; try again shortly.", retry_after=1.0)
        if outcome not in (Outcome.REFUSED, Outcome.TIMED_OUT):
            _log.warning("isolated_job_failed", outcome=outcome.value)
        return self._errors.get(code or outcome.value, self._errors[Outcome.CRASHED])()

    async def _job(self, payload: Sequence[Buffer], seconds: float) -> bytearray:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        job, ended = 0, None
        template = self._template
        try:
            try:
                template = await self._living_template()
                job, ended = template.fork(theirs.fileno(), math.ceil(seconds))
            except TemplateGone:
                raise Ended(Outcome.UNAVAILABLE) from None
            finally:
                theirs.close()
            async with asyncio.timeout(seconds):
                return await self._answer(ours, payload, ended)
        except TimeoutError:
            raise Ended(Outcome.TIMED_OUT) from None
        finally:
            if ended is not None and not ended.done():
                await outlast(asyncio.ensure_future(_end(template, job, ended, ours)))
            ours.close()

    async def _answer(self, line: socket.socket, payload: Sequence[Buffer], ended: asyncio.Future[int]) -> bytearray:
        kind, answer = b"", bytearray()
        try:
            kind, answer = await converse(line, payload, self._most)
        except NoAnswer:
            pass
        except Garbled:
            raise Ended(Outcome.GARBLED) from None
        try:
            status = await asyncio.shield(ended)
        except TemplateGone:
            raise Ended(Outcome.UNAVAILABLE) from None
        if kind == wire.RESULT and status == 0:
            return answer
        raise self._verdict(kind, answer, status)

    def _verdict(self, kind: bytes, answer: bytearray, status: int) -> Ended:
        if status in (-signal.SIGSYS, -signal.SIGXCPU, child.EXIT_MEMORY, child.EXIT_UNLOCKED):
            return Ended(_STATUS[status])
        if status != 0 or not kind:
            return Ended(Outcome.CRASHED)
        if kind == wire.MEMORY:
            return Ended(Outcome.OUT_OF_MEMORY)
        code = bytes(answer[:65]).decode("ascii", "replace")
        known = CODE.fullmatch(code) and code in self._errors
        return Ended(Outcome.REFUSED, code) if known else Ended(Outcome.GARBLED)

    async def _living_template(self) -> TemplateProcess:
        """The template; a new one if it died. Raises TemplateGone, ConfigError."""
        if self._template.alive:
            return self._template
        async with self._starting:
            if self._template.alive:
                return self._template
            if self._stopped:
                raise TemplateGone
            await self._template.stop()
            if self._template.pid:
                _log.error("isolation_template_died")
            self._template = TemplateProcess(self._nursery)
            strict = self._strictness == "strict"
            serves = await self._template.start(self._module, memory_bytes=self._memory, strict=strict)
            if not serves:
                await self._template.stop()
            accept(self._template.controls, self._strictness)
            self._metrics.templates.inc()
            return self._template


_STATUS = {
    -signal.SIGSYS: Outcome.FORBIDDEN,
    -signal.SIGXCPU: Outcome.TIMED_OUT,
    child.EXIT_MEMORY: Outcome.OUT_OF_MEMORY,
    child.EXIT_UNLOCKED: Outcome.UNAVAILABLE,
}


async def _end(template: TemplateProcess, job: int, ended: asyncio.Future[int], line: socket.socket) -> None:
    """Kills a child and waits until it is gone and reaped; with its template if it has to be."""
    template.kill(job)
    try:
        async with asyncio.timeout(_GONE_WITHIN):
            await until_gone(line)
            await asyncio.shield(ended)
    except TemplateGone:
        await until_gone(line)
    except TimeoutError:
        template.kill_at_once()
        await until_gone(line)
