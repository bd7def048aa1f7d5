"""Counts RPCs by the names that the ecosystem's dashboards know (grpc_server_*)."""

from __future__ import annotations

import time
from functools import cache
from typing import Any

import grpc

from mesh.metrics import FAILURES, MeshMetrics
from mesh.middleware import outcome
from mesh.middleware.call import Call, Proceed


class Metering:
    """Outside of whatever sets the status, so that it sees what the caller sees."""

    def __init__(self, metrics: MeshMetrics) -> None:
        self._metrics = metrics
        self._labels = cache(self._admit)

    def serves(self, kind: str, method: str) -> None:
        """What is served is counted from 0 on: the first failure after a start is a rise, or no rate would see it."""
        labels = self._labels(kind, *method.split("/")[1:])
        for code in ("OK", *FAILURES):
            self._metrics.rpc_handled.labels(*labels, code)

    async def __call__(self, call: Call, proceed: Proceed) -> Any:
        labels = self._labels(call.kind, call.service_name, call.method_name)
        self._metrics.rpc_started.labels(*labels).inc()
        began = time.perf_counter()
        code = grpc.StatusCode.OK
        try:
            return await proceed()
        except BaseException:
            code = outcome.code(call.context)
            raise
        finally:
            self._metrics.rpc_handled.labels(*labels, code.name).inc()
            self._metrics.rpc_seconds.labels(*labels).observe(time.perf_counter() - began)

    def _admit(self, kind: str, service: str, method: str) -> tuple[str, str, str]:
        """A call gets here only if the process has a handler for it, so its method is a name of the code's own."""
        for family in (self._metrics.rpc_started, self._metrics.rpc_handled, self._metrics.rpc_seconds):
            family.admit(grpc_service=(service,), grpc_method=(method,))
        return kind, service, method
