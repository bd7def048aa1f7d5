"""Counts RPCs by the names that the ecosystem's dashboards know (grpc_server_*)."""

from __future__ import annotations

import time
from functools import cache
from typing import Any

import grpc

from mesh.context import ServerContext
from mesh.metrics import MeshMetrics
from mesh.middleware.call import Call, Proceed


class Metering:
    """Outermost, so that it sees what the caller sees."""

    def __init__(self, metrics: MeshMetrics) -> None:
        self._metrics = metrics
        self._labels = cache(self._admit)

    async def __call__(self, call: Call, proceed: Proceed) -> Any:
        labels = self._labels(call.kind, call.service_name, call.method_name)
        self._metrics.rpc_started.labels(*labels).inc()
        began = time.perf_counter()
        code = grpc.StatusCode.OK
        try:
            return await proceed()
        except BaseException:
            code = _code(call.context)
            raise
        finally:
            self._metrics.rpc_handled.labels(*labels, code.name).inc()
            self._metrics.rpc_seconds.labels(*labels).observe(time.perf_counter() - began)

    def _admit(self, kind: str, service: str, method: str) -> tuple[str, str, str]:
        """A call gets here only if the process has a handler for it, so its method is a name of the code's own."""
        for family in (self._metrics.rpc_started, self._metrics.rpc_handled, self._metrics.rpc_seconds):
            family.admit(grpc_service=(service,), grpc_method=(method,))
        return kind, service, method


def _code(context: ServerContext) -> grpc.StatusCode:
    """What ``abort`` has set; a handler that was cancelled has set nothing."""
    code: object = context.code()  # typed as a StatusCode; after abort it is the number
    for known in grpc.StatusCode:
        if code in (known, known.value[0]) and known is not grpc.StatusCode.OK:
            return known
    return grpc.StatusCode.CANCELLED
