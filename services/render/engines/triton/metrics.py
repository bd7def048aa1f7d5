"""What is measured of inference pools."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import CollectorRegistry

from mesh.instruments import declare
from mesh.instruments.label import listed, sourced
from mesh.metrics import CODES, SECONDS
from services.render.engines.triton.contract import MODELS

_RENDER = ("render",)
MOST_PROCESSORS = 16
_PROCESSOR = sourced("processor", "the pinned list (`MAYFLY_RENDER_PROCESSORS_FILE`)", MOST_PROCESSORS)
_FAILURES = tuple(code.lower() for code in CODES if code != "OK")

ENDPOINTS = declare.Gauge(
    name="mayfly_render_pool_endpoints",
    help="Endpoints of a processor that take inferences now.",
    unit="endpoints",
    services=_RENDER,
    labels=(_PROCESSOR,),
)
IMPOSTORS = declare.Gauge(
    name="mayfly_render_pool_impostors",
    help="Endpoints of a processor where somebody else answers: without its name, or of another authority.",
    unit="endpoints",
    services=_RENDER,
    labels=(_PROCESSOR,),
)
POOL_SECONDS = declare.Histogram(
    name="mayfly_render_pool_seconds",
    help="One inference that was answered, from the request's first byte to the answer's last.",
    unit="seconds",
    services=_RENDER,
    labels=(_PROCESSOR, listed("model", MODELS)),
    buckets=SECONDS,
)
CALLS = declare.Counter(
    name="mayfly_render_pool_calls_total",
    help="Inferences that a pool was asked for.",
    unit="inferences",
    services=_RENDER,
    labels=(_PROCESSOR, listed("outcome", ("answered", "nonsense", *_FAILURES))),
)


class PoolMetrics:
    """What is counted about inferences elsewhere."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.endpoints = ENDPOINTS.family(registry)
        self.impostors = IMPOSTORS.family(registry)
        self.seconds = POOL_SECONDS.family(registry)
        self.calls = CALLS.family(registry)

    def admit(self, processors: Iterable[str]) -> None:
        """Names of the pinned list, which may be labels from now on."""
        names = tuple(processors)
        for family in (self.endpoints, self.impostors, self.seconds, self.calls):
            family.admit(processor=names)
