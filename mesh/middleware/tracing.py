"""A span for each call that belongs to a trace."""

from __future__ import annotations

from typing import Any

import grpc
from opentelemetry.context import Context
from opentelemetry.trace import Span, Status, StatusCode

from mesh.middleware.call import Call, Proceed
from mesh.middleware.outcome import code
from mesh.tracing import fields, passing, spans

_PLUMBING = ("grpc.", "mayfly.mesh.")
_OURS = frozenset({"UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"})
"""Statuses that are the server's fault (OpenTelemetry's semantic conventions for gRPC servers)."""


class Tracing:
    """Outermost, so that what the other middlewares observe has its exemplar.

    begins: whether calls begin traces here, as at the edge: what an app says of a trace is then not even read. It could
    name the app's user across photos, and let a stranger decide which photos are recorded. Otherwise a call is part of
    its caller's trace, or of none.
    """

    def __init__(self, *, begins: bool) -> None:
        self._begins = begins

    async def __call__(self, call: Call, proceed: Proceed) -> Any:
        parent = self._parent(call) if spans.is_on() else None
        if parent is None:
            return await proceed()
        with spans.of_call(call.method, parent) as span:
            try:
                result = await proceed()
            except BaseException:
                _end(span, code(call.context))
                raise
            _end(span, grpc.StatusCode.OK)
            return result

    def _parent(self, call: Call) -> Context | None:
        if not self._begins:
            return passing.incoming(call.context.invocation_metadata())
        return None if call.service_name.startswith(_PLUMBING) else Context()


def _end(span: Span | None, status: grpc.StatusCode) -> None:
    if span is not None and span.is_recording():
        span.set_attributes(fields.allowed({"rpc_status": status.value[0]}))
        if status.name in _OURS:
            span.set_status(Status(StatusCode.ERROR))
