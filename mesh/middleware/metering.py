"""Counts RPCs by the names that the ecosystem's dashboards know (grpc_server_*)."""

from __future__ import annotations

import time
from functools import cache
from typing import Any

import grpc

from mesh.metrics import MeshMetrics
from mesh.middleware import outcome
from mesh.middleware.call import Call, Proceed


class Metering:
    """Outermost, so that it sees what the caller sees."""

    def __init__(self, metrics: MeshMetrics) -> None:
        # Looking a child up by its labels costs as much as all the rest here; there are few of them.
        self._started = cache(metrics.rpc_started.labels)
        self._handled = cache(metrics.rpc_handled.labels)
        self._seconds = cache(metrics.rpc_seconds.labels)

    async def __call__(self, call: Call, proceed: Proceed) -> Any:
        labels = (call.kind, call.service_name, call.method_name)
        self._started(*labels).inc()
        began = time.perf_counter()
        code = grpc.StatusCode.OK
        try:
            return await proceed()
        except BaseException:
            code = outcome.code(call.context)
            raise
        finally:
            self._handled(*labels, code.name).inc()
            self._seconds(*labels).observe(time.perf_counter() - began)
