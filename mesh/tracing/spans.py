"""Spans and events of the photo that is being worked on, for code that knows nothing of OpenTelemetry.

Everything here belongs to the current span, which follows tasks and, where it is carried, threads (contextvars). Where
no trace is being recorded, nothing here does anything, and nothing costs more than a look at a variable.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext

from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanContext, SpanKind, Status, StatusCode, Tracer, get_current_span

from mesh import errors
from mesh.tracing import fields

_OURS = (errors.Internal, errors.Unavailable, errors.Overdue)
"""Typed errors by which the mesh has failed; the others are answers."""

_NOTHING = nullcontext()
_tracer: Tracer | None = None


def use(tracer: Tracer | None) -> None:
    """From now on spans are that tracer's; None: there are none."""
    global _tracer  # noqa: PLW0603 - one process, one tracer, as with its log
    _tracer = tracer


def is_on() -> bool:
    return _tracer is not None


def span(name: str, **values: object) -> AbstractContextManager[None]:
    """A child of the current span, around the body. An error ends it by its type, never its text."""
    if _tracer is None or current() is None:
        return _NOTHING
    return _child(_tracer, name, values)


@contextmanager
def _child(tracer: Tracer, name: str, values: Mapping[str, object]) -> Iterator[None]:
    with _recording(tracer, name, SpanKind.INTERNAL, None, values) as child:
        try:
            yield
        except BaseException as error:
            _fail(child, error)
            raise


@contextmanager
def of_call(method: str, parent: Context, **values: object) -> Iterator[Span | None]:
    """The span of a call on its way in, below ``parent``; without a span in that, the first of a trace.

    method: ``/package.Service/Method``. Errors are left to whoever knows the call's status.
    """
    if _tracer is None:
        yield None
        return
    _, service, rpc = method.split("/")
    known = {"rpc_system": "grpc", "rpc_service": service, "rpc_method": rpc, **values}
    with _recording(_tracer, method[1:], SpanKind.SERVER, parent, known) as server:
        yield server


def event(name: str, *, at: int | None = None, **values: object) -> None:
    """Something that has happened. at: when, Unix nanoseconds; now."""
    if _tracer is not None and (span := get_current_span()).is_recording():
        span.add_event(fields.name(name), fields.allowed(values), at)


def note(**values: object) -> None:
    """Says something about the current span."""
    if _tracer is not None and (span := get_current_span()).is_recording():
        span.set_attributes(fields.allowed(values))


def failed(error: BaseException) -> None:
    """Says of the current span how it came to its error; its status is somebody else's to say."""
    if _tracer is not None and (span := get_current_span()).is_recording():
        _explain(span, error)


def current() -> SpanContext | None:
    """The current span's ids, if its trace is being recorded; also of one that has ended."""
    context = get_current_span().get_span_context()
    return context if context.is_valid and context.trace_flags.sampled else None


def ids() -> dict[str, str]:
    """The ids of the current span as words (W3C Trace Context, section 3.2.2); empty without one that is going on.

    A span that has ended counts for none: what many photos share may have been begun by one of them, and outlives it.
    """
    if _tracer is None or not (span := get_current_span()).is_recording():
        return {}
    context = span.get_span_context()
    return {"trace_id": f"{context.trace_id:032x}", "span_id": f"{context.span_id:016x}"}


@contextmanager
def _recording(
    tracer: Tracer, name: str, kind: SpanKind, context: Context | None, values: Mapping[str, object]
) -> Iterator[Span]:
    with tracer.start_as_current_span(
        fields.name(name),
        context,
        kind,
        fields.allowed(values),
        # The SDK would keep the error's text and its traceback's.
        record_exception=False,
        set_status_on_exception=False,
    ) as span:
        yield span


def _fail(span: Span, error: BaseException) -> None:
    if not span.is_recording():
        return
    _explain(span, error)
    if isinstance(error, _OURS) or _is_bug(error):
        span.set_status(Status(StatusCode.ERROR))


def _explain(span: Span, error: BaseException) -> None:
    kind = type(error).__name__
    known = {"error_type": kind}
    if isinstance(error, errors.MeshError):
        known["reason"] = error.reason
    span.set_attributes(fields.allowed(known))
    if _is_bug(error):
        span.add_event("exception", fields.allowed({"exception_type": kind}))


def _is_bug(error: BaseException) -> bool:
    return isinstance(error, Exception) and not isinstance(error, errors.MeshError | asyncio.CancelledError)
