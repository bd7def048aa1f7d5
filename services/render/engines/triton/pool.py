"""The endpoints that photos may go to: who is asked next, for how long, and what happens when one fails."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Collection, Sequence

import grpc

from mesh.clock import Clock
from mesh.errors import MeshError
from mesh.identity import Identity
from mesh.log import error_at, get_logger
from services.render.engines.triton import refusals, wire
from services.render.engines.triton.contract import MODELS, Model
from services.render.engines.triton.endpoint import Endpoint, Failed
from services.render.engines.triton.metrics import PoolMetrics
from services.render.engines.triton.processors import Processors
from services.render.picture import Cancelled
from services.render.steps.pixels import Array

_log = get_logger()

_LOOK_EVERY = 1.0  # seconds, while all are ready
_LOOK_AGAIN = 0.25  # seconds, while one isn't


class Pool:
    """Started once; ``infer`` is called from several worker threads at a time."""

    def __init__(
        self,
        processors: Processors,
        *,
        identity: Identity,
        metrics: PoolMetrics,
        clock: Clock,
        call_seconds: float,
    ) -> None:
        """processors: those of the pinned list that are used. identity: this service's, which it shows to them.

        call_seconds: the longest that one inference may take. Raises ConfigError when an authority can't be read.
        """
        self._endpoints = tuple(Endpoint(address, processors, identity) for address in processors.endpoints)
        self._up: set[Endpoint] = set()
        self._impostors: set[Endpoint] = set()
        self._metrics = metrics
        metrics.admit(processors.names)
        self._clock = clock
        self._call_seconds = call_seconds
        self._turns = itertools.count()
        self._look_now = threading.Event()
        self._stopped = False
        self._watch = threading.Thread(target=self._keep_looking, name="render-pool", daemon=True)

    def start(self) -> None:
        """Looks at all of them once, and from then on all the time. A pool that is away is not an error."""
        self._look()
        self._watch.start()

    def close(self) -> None:
        self._stopped = True
        self._look_now.set()
        if self._watch.is_alive():
            self._watch.join()
        for endpoint in self._endpoints:
            endpoint.close()

    def ready(self) -> bool:
        """Whether each of the networks is served by somebody."""
        return all(any(name in endpoint.ready for endpoint in self._endpoints) for name in MODELS)

    def rinse(self) -> bool:
        """See ``Endpoint.rinse``. Of all, one after the other, also when one fails."""
        rinsed = [endpoint.rinse() for endpoint in self._endpoints]
        return all(rinsed)

    # --- inference ---

    def infer(
        self, model: Model, inputs: Sequence[Array], shape: tuple[int, ...], *, deadline: float, cancelled: Cancelled
    ) -> Array:
        """The model's output, of ``shape``, read-only. deadline: ``Clock.monotonic()``'s, of the photo's lease.

        An endpoint that goes away without an answer is followed by the next, each asked at most once.
        Raises Unavailable (POOL_AWAY, POOL_BUSY, POOL_TOO_SLOW, POOL_FAILED, POOL_ANSWERED_NONSENSE), Overdue,
        Cancelled.
        """
        asked: set[Endpoint] = set()
        while (endpoint := self._next(model, asked)) is not None:
            if cancelled():
                raise refusals.cancelled()
            asked.add(endpoint)
            try:
                return self._ask(endpoint, model, inputs, shape, deadline=deadline, cancelled=cancelled)
            except Failed as failure:
                if not failure.unanswered:
                    raise self._meaning(failure.code) from None
                endpoint.gone()
                self._look_now.set()
        raise refusals.away()

    def _next(self, model: Model, asked: Collection[Endpoint]) -> Endpoint | None:
        """In turns. One that says that it is ready before one that doesn't, which isn't asked at all."""
        able = [each for each in self._endpoints if model.name in each.ready and each not in asked]
        return able[next(self._turns) % len(able)] if able else None

    def _ask(
        self,
        endpoint: Endpoint,
        model: Model,
        inputs: Sequence[Array],
        shape: tuple[int, ...],
        *,
        deadline: float,
        cancelled: Cancelled,
    ) -> Array:
        processor = endpoint.processor
        began = self._clock.monotonic()
        left = deadline - began
        if left <= 0:
            raise refusals.overdue()
        outcome = "answered"
        version = processor.models[model.name]
        try:
            request = wire.request(model, version, inputs)
            raw = endpoint.infer(request, timeout=min(left, self._call_seconds), cancelled=cancelled)
            answer = wire.answer(raw, model, version, shape)
        except Failed as failure:
            outcome = failure.code.name.lower()
            if failure.code is grpc.StatusCode.DEADLINE_EXCEEDED and left <= self._call_seconds:
                raise refusals.overdue() from None
            raise
        except wire.Nonsense as error:
            outcome = "nonsense"
            _log.error("pool_answered_nonsense", peer=endpoint.address, fact=str(error))
            raise refusals.nonsense() from None
        except MeshError:
            outcome = "cancelled"
            raise
        finally:
            self._metrics.calls.labels(processor.name, outcome).inc()
        self._metrics.seconds.labels(processor.name, model.name).observe(self._clock.monotonic() - began)
        return answer

    def _meaning(self, code: grpc.StatusCode) -> MeshError:
        if code is grpc.StatusCode.RESOURCE_EXHAUSTED:
            return refusals.busy()
        if code is grpc.StatusCode.DEADLINE_EXCEEDED:
            return refusals.too_slow()
        _log.error("pool_failed", code=code.name)
        return refusals.failed()

    # --- readiness ---

    def _keep_looking(self) -> None:
        while not self._stopped:
            all_ready = all(endpoint.ready == endpoint.processor.models.keys() for endpoint in self._endpoints)
            self._look_now.wait(_LOOK_EVERY if all_ready else _LOOK_AGAIN)
            self._look_now.clear()
            if self._stopped:
                return
            try:
                self._look()
            except Exception as error:  # whatever it is, the pool is looked at again
                _log.error("pool_look_failed", error_type=type(error).__name__, error_at=error_at(error))

    def _look(self) -> None:
        for take_in in [endpoint.look() for endpoint in self._endpoints]:
            take_in()
        up = {endpoint for endpoint in self._endpoints if endpoint.ready}
        for endpoint in up ^ self._up:
            _log.info("pool_endpoint", peer=endpoint.address, state="ready" if endpoint in up else "away")
        self._up = up
        impostors = {endpoint for endpoint in self._endpoints if endpoint.impostor}
        for endpoint in impostors - self._impostors:
            _log.error("pool_impostor", peer=endpoint.address)
        self._impostors = impostors
        for name in {endpoint.processor.name for endpoint in self._endpoints}:
            self._metrics.endpoints.labels(name).set(sum(each.processor.name == name for each in up))
            self._metrics.impostors.labels(name).set(sum(each.processor.name == name for each in impostors))
