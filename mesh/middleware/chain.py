"""The order in which middlewares act, outermost first."""

from __future__ import annotations

from mesh.identity import AllowList
from mesh.metrics import MeshMetrics
from mesh.middleware.authorizing import Authorizing
from mesh.middleware.call import Interceptor
from mesh.middleware.explaining import Explaining
from mesh.middleware.metering import Metering
from mesh.middleware.tracing import Tracing


def inside(metrics: MeshMetrics, allowed: AllowList, trust_domain: str) -> Interceptor:
    """For services that only services call."""
    metering = Metering(metrics)
    chain = (Tracing(begins=False), metering, Explaining(), Authorizing(allowed, trust_domain))
    return Interceptor(chain, metering.serves)


def edge(metrics: MeshMetrics) -> Interceptor:
    """For the gateway, whose callers are people's apps: it authenticates them itself, by token."""
    metering = Metering(metrics)
    return Interceptor((Tracing(begins=True), metering, Explaining()), metering.serves)
