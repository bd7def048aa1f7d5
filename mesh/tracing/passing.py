"""How a trace goes from process to process: ``traceparent`` in gRPC metadata (W3C Trace Context, section 3.2).

Only that: ``tracestate`` and ``baggage`` are free text, so nobody here reads or writes them.
"""

from __future__ import annotations

from collections.abc import Iterable

from opentelemetry.context import Context
from opentelemetry.trace import get_current_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from mesh.tracing import spans

TRACEPARENT = "traceparent"
_format = TraceContextTextMapPropagator()

Metadata = Iterable[tuple[str, str | bytes]]


def outgoing() -> tuple[tuple[str, str], ...]:
    """What a call's metadata says of the current trace: nothing, if it isn't recorded."""
    if not spans.is_on() or spans.current() is None:
        return ()
    carrier: dict[str, str] = {}
    _format.inject(carrier)
    return ((TRACEPARENT, carrier[TRACEPARENT]),)


def incoming(metadata: Metadata | None) -> Context | None:
    """The caller's span, if the call names one whose trace is recorded. Only for callers of the mesh."""
    for key, value in metadata or ():
        if key == TRACEPARENT and isinstance(value, str):
            context = _format.extract({TRACEPARENT: value}, context=Context())
            found = get_current_span(context).get_span_context()
            return context if found.is_valid and found.trace_flags.sampled else None
    return None
