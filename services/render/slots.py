"""Engine slots: so many pictures at a time, so many photos waiting, and no photo let go of while a thread has it.

A photo's place is taken before its first byte is read (``admit``), so what render holds is bounded by its settings and
a photo that can't be made in time is refused before it is sent. Who is next is ``fair_queue``'s business.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
import time
import traceback
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType

from mesh.clock import Clock
from mesh.errors import Exhausted, Internal, MeshError
from mesh.log import error_at, get_logger
from mesh.tasks import outlast
from mesh.tracing import spans
from services.render.engines.base import Engine
from services.render.estimates import Durations, starts
from services.render.fair_queue import CLASSES, Entry, FairQueue
from services.render.metrics import RenderMetrics
from services.render.picture import Job, Picture, Progress
from services.render.progress import State, Tell
from services.render.scene import Scene

_log = get_logger()

_LOOK_SECONDS = 0.5  # between two looks at everything that waits
_LEAST_RETRY, _MOST_RETRY = 1.0, 60.0  # seconds


@dataclass(frozen=True, slots=True)
class Order:
    """What is asked for, by whom. owner: a word that is the same for one owner's photos, and tells nothing else.

    service_class: of CLASSES. deadline: ``clock.monotonic()``'s, the lease's end.
    """

    scene: Scene
    owner: bytes
    service_class: str
    deadline: float


class Slots:
    """A component: the engine behind a bounded pool of threads and a bounded, fair queue."""

    def __init__(
        self,
        engine: Engine,
        *,
        slots: int,
        queue: int,
        metrics: RenderMetrics,
        clock: Clock,
        weights: Mapping[str, float] = CLASSES,
    ) -> None:
        """queue: places beside the slots."""
        self._engine = engine
        self._places = slots + queue
        self._metrics = metrics
        self._clock = clock
        self._weights = weights
        self._slots = slots
        self._durations = Durations()
        self._queue = FairQueue()
        self._admitted = 0
        self._waiting: dict[Entry, Ticket] = {}
        self._running: dict[Ticket, float] = {}  # when it can be expected to end, monotonic
        self._looking: asyncio.Task[None] | None = None
        self._pool = ThreadPoolExecutor(slots, thread_name_prefix="render")
        self.ready = False
        metrics.slots.set(slots)
        for name in weights:
            metrics.queued.labels(name).set(0)

    async def start(self) -> None:
        """Loads and warms the engine, off the event loop."""
        began = time.perf_counter()
        await asyncio.get_running_loop().run_in_executor(self._pool, self._engine.start)
        self._metrics.cold_start.set(time.perf_counter() - began)
        self.ready = True

    async def stop(self) -> None:
        self.ready = False
        if self._looking is not None:
            self._looking.cancel()
        # Elsewhere: what ends the renders that still run needs the event loop.
        await asyncio.to_thread(self._pool.shutdown)
        self._engine.close()

    # --- places ---

    def admit(self, order: Order) -> Ticket:
        """A place for a photo, to be left by the ticket's end (it is a context manager).

        Raises Exhausted: RENDER_QUEUE_FULL; RENDER_TOO_LATE when the picture can't be expected before the lease's end.
        """
        ticket = Ticket(self, order)
        if self._admitted >= self._places:
            self._refuse("RENDER_QUEUE_FULL", "All engines are busy; try again shortly.", self._next_free())
        self._check(ticket, self._expected_start(order)[1])
        self._admitted += 1
        return ticket

    def leave(self) -> None:
        self._admitted -= 1

    def _check(self, ticket: Ticket, wait: float) -> None:
        late = self._clock.monotonic() + wait + ticket.cost - ticket.order.deadline
        if ticket.cost and late > 0:
            self._refuse(
                "RENDER_TOO_LATE",
                "The picture can't be made before the lease ends; try again later, or with a longer `ttl`.",
                wait or late,
            )

    def _refuse(self, reason: str, message: str, retry_after: float) -> None:
        self._metrics.refused.labels(reason).inc()
        raise Exhausted(reason, message, retry_after=min(max(retry_after, _LEAST_RETRY), _MOST_RETRY))

    # --- what can be expected ---

    def seconds(self, scene: Scene) -> float:
        """Of a slot, on average; 0.0 if nothing like it was made yet."""
        return self._durations.of(scene)

    def _expected_start(self, order: Order) -> tuple[int, float]:
        """Place in the queue (1 is next) and seconds until its turn, were the photo to come now."""
        ahead = [entry.cost for entry in self._queue.ahead_of(order.owner)]
        return len(ahead) + 1, starts(self._slots, self._remaining(), [*ahead, 0.0])[-1]

    def _next_free(self) -> float:
        return starts(self._slots, self._remaining(), [0.0])[-1]

    def _remaining(self) -> list[float]:
        now = self._clock.monotonic()
        return [end - now for end in self._running.values()]

    # --- the queue ---

    async def take(self, ticket: Ticket, tell: Tell) -> None:
        """Waits for the ticket's turn. Raises Exhausted(RENDER_TOO_LATE) as soon as it is plain."""
        position, wait = self._expected_start(ticket.order)
        self._check(ticket, wait)
        began = self._clock.monotonic()
        name = ticket.order.service_class
        entry = self._queue.push(ticket.order.owner, self._weights[name], ticket.cost)
        ticket.turn, ticket.tell = asyncio.get_running_loop().create_future(), tell
        self._waiting[entry] = ticket
        self._metrics.queued.labels(name).inc()
        try:
            self._serve()
            if not ticket.turn.done():
                tell(_waiting(position, wait, ticket.cost))
                self._look()
            await ticket.turn
        except BaseException:
            if ticket.turn.done() and not ticket.turn.cancelled() and ticket.turn.exception() is None:
                self.give_back(ticket)  # its turn came as it left
            raise
        finally:
            if self._waiting.pop(entry, None) is not None:
                self._queue.remove(entry)
            self._metrics.queued.labels(name).dec()
        self._metrics.waited.labels(name).observe(self._clock.monotonic() - began)

    def give_back(self, ticket: Ticket) -> None:
        del self._running[ticket]
        self._metrics.used.dec()
        self._serve()
        if not self._running:
            self._queue.idle()

    def _serve(self) -> None:
        while len(self._running) < self._slots and (entry := self._queue.pop()) is not None:
            ticket = self._waiting.pop(entry)
            if ticket.turn.done():
                continue  # it has just left
            self._running[ticket] = self._clock.monotonic() + ticket.cost
            self._metrics.used.inc()
            ticket.turn.set_result(None)

    def _look(self) -> None:
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look_on())

    async def _look_on(self) -> None:
        """Tells those that wait where they are, and ends what is too late, as long as there are any."""
        while self._waiting:
            await self._clock.sleep(_LOOK_SECONDS)
            self._tell_all()

    def _tell_all(self) -> None:
        order = list(self._queue)
        expected = starts(self._slots, self._remaining(), [entry.cost for entry in order])
        for position, (entry, wait) in enumerate(zip(order, expected, strict=True), 1):
            ticket = self._waiting[entry]
            if ticket.turn.done():
                continue
            try:
                self._check(ticket, wait)
            except Exhausted as late:
                ticket.turn.set_exception(late)
            else:
                ticket.tell(_waiting(position, wait, ticket.cost))

    # --- the work ---

    async def run(self, ticket: Ticket, job: Job, tell: Tell) -> Picture:
        """In a slot that was taken. Cancelling it returns only when no thread has the photo any more."""
        scene = ticket.order.scene
        began = time.perf_counter()
        try:
            picture = await self._in_thread(job, tell, ticket.cost)
        except MeshError as error:
            self._metrics.failed.labels(error.reason).inc()
            raise
        finally:
            self._metrics.seconds.labels(scene.kind).observe(time.perf_counter() - began)
        self._durations.learn(scene, time.perf_counter() - began)
        return picture

    async def _in_thread(self, job: Job, tell: Tell, cost: float) -> Picture:
        loop = asyncio.get_running_loop()
        cancelled = threading.Event()
        timer = _StepTimer(self._metrics)

        def progress(step: str, fraction: float) -> None:
            timer.step(step)
            seconds = cost * (1 - fraction) if cost else None
            loop.call_soon_threadsafe(tell, State(step, fraction, seconds=seconds))

        # In this photo's context, so that what is measured in the thread belongs to its trace.
        run = contextvars.copy_context().run
        running = loop.run_in_executor(self._pool, run, _run, self._engine, job, progress, cancelled)
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            cancelled.set()
            # A thread can't be interrupted within a step; until it ends, it has the photo.
            await outlast(running)
            raise


class Ticket:
    """A photo's place, from before its first byte until its call's end."""

    turn: asyncio.Future[None]
    tell: Tell

    def __init__(self, slots: Slots, order: Order) -> None:
        self.order = order
        self.cost = slots.seconds(order.scene)
        self._slots = slots

    def __enter__(self) -> Ticket:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._slots.leave()

    async def render(self, job: Job, tell: Tell) -> Picture:
        """Makes the picture when it is this photo's turn.

        Raises Exhausted(RENDER_TOO_LATE), what the engine raises, and Internal(RENDER_FAILED) for its bugs.
        """
        with spans.span("queue", service_class=self.order.service_class):
            await self._slots.take(self, tell)
        try:
            with spans.span("render"):
                return await self._slots.run(self, job, tell)
        finally:
            self._slots.give_back(self)


def _waiting(position: int, wait: float, cost: float) -> State:
    return State(position=position, seconds=wait + cost if cost else None)


def _run(engine: Engine, job: Job, progress: Progress, cancelled: threading.Event) -> Picture:
    try:
        return engine.render(job, progress, cancelled.is_set)
    except MeshError as error:
        traceback.clear_frames(error.__traceback__)
        raise
    except Exception as error:
        _log.error("render_failed", error_type=type(error).__name__, error_at=error_at(error))
        traceback.clear_frames(error.__traceback__)
    raise Internal("RENDER_FAILED", "The picture could not be made; the photo has been deleted. Try another photo.")


class _StepTimer:
    """Observes how long each step took: from its announcement to the next one's."""

    def __init__(self, metrics: RenderMetrics) -> None:
        self._metrics = metrics
        self._step, self._began = "", time.perf_counter()

    def step(self, name: str) -> None:
        if name == self._step:
            return  # news from within a long one
        now = time.perf_counter()
        if self._step:
            self._metrics.step_seconds.labels(self._step).observe(now - self._began)
        self._step, self._began = name, now
