"""Puts a bug into each service: on a sign from the client, something deep within raises an error that quotes everything
that it knows, as careless code does. Python imports this file at its start, if it is on the path.

The signs are in ``babbling_signs.py``, apart, so that whoever gives them gets none of this.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from types import ModuleType
from typing import Any

from babbling_signs import CONTROL, GATEWAY_BUG, INGEST_WORD, PLANT, PURGE_TTL, RENDER_AWAY, RENDER_BUG, RENDER_SLOW

from tests.leaks.planting import plant


def _gateway(module: ModuleType) -> None:
    parse = module.parse_start

    def parse_start(message: bytes | None, *args: Any) -> Any:
        start = parse(message, *args)
        if start.seed == GATEWAY_BUG:
            raise RuntimeError(f"bad start {start!r} {message!r}")
        if start.seed == PLANT:
            _plant()
        return start

    module.parse_start = parse_start


def _plant() -> None:
    from mesh.errors import Invalid
    from mesh.log import get_logger
    from mesh.tracing import spans
    from services.gateway import metrics

    get_logger().error("planted", fact=CONTROL)
    spans.note(scene_id=CONTROL)
    metrics.planted.labels(CONTROL).inc()
    raise Invalid("PLANTED", f"This is {CONTROL}.")


def _gateway_metrics(module: ModuleType) -> None:
    begin = module.GatewayMetrics.__init__

    def init(self: Any, registry: Any) -> None:
        from prometheus_client import Counter

        begin(self, registry)
        module.planted = Counter("planted_total", "The control.", ("word",), registry=registry)

    module.GatewayMetrics.__init__ = init


def _ingest(module: ModuleType) -> None:
    feed = module.Passage.feed

    def wrapped(self: Any, chunk: bytes) -> Any:
        if INGEST_WORD in chunk:
            raise ValueError(f"bad chunk {chunk!r}")
        return feed(self, chunk)

    module.Passage.feed = wrapped


def _render(module: ModuleType) -> None:
    render = module.NullEngine.render

    def wrapped(self: Any, job: Any, progress: Any, cancelled: Callable[[], bool]) -> Any:
        from mesh.errors import Cancelled, Unavailable

        if job.seed == RENDER_BUG:
            raise ValueError(f"bad job {job!r}")
        if job.seed == RENDER_AWAY:
            raise Unavailable("POOL_AWAY", "The engine is away; try again shortly.", retry_after=1.0)
        progress("encode", 0.0)
        while job.seed == RENDER_SLOW:
            if cancelled() or time.monotonic() > job.deadline:
                raise Cancelled("RENDER_CANCELLED", "The render was taken back.")
            time.sleep(0.01)
        return render(self, job, progress, cancelled)

    module.NullEngine.render = wrapped


def _purge(module: ModuleType) -> None:
    grant = module.Grants.grant

    async def wrapped(self: Any, wish: Any) -> Any:
        if wish.ttl == PURGE_TTL:
            raise RuntimeError(f"bad wish {wish!r}")
        return await grant(self, wish)

    module.Grants.grant = wrapped


_PATCHES: dict[str, Callable[[ModuleType], None]] = {
    "services.gateway.order": _gateway,
    "services.gateway.metrics": _gateway_metrics,
    "services.ingest.isolated.passage": _ingest,
    "services.render.engines.null": _render,
    "services.purge.grants": _purge,
}


plant(_PATCHES)
