"""A collector of traces: the real protocol (OTLP over gRPC), and what came by it, to be looked at."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import grpc
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import KeyValue

from mesh.testing.ports import HOST

_SERVICE = "opentelemetry.proto.collector.trace.v1.TraceService"
KINDS = {1: "internal", 2: "server", 3: "client"}


@dataclass(frozen=True, slots=True)
class Recorded:
    """A span as it arrived. began, ended: Unix nanoseconds, as the events' times. parent: empty for a trace's first."""

    service: str
    name: str
    kind: str
    trace_id: str
    span_id: str
    parent: str
    began: int
    ended: int
    attributes: Mapping[str, object]
    events: Sequence[tuple[str, int, Mapping[str, object]]]
    failed: bool

    @property
    def event_names(self) -> list[str]:
        return [name for name, _, _ in self.events]


class Collector:
    """A context manager. Listens on loopback, in threads of its own; with credentials, by TLS."""

    def __init__(self, credentials: grpc.ServerCredentials | None = None) -> None:
        self.raw: list[bytes] = []
        """Each export as it came off the wire."""
        self._lock = threading.Lock()
        self._server = grpc.server(ThreadPoolExecutor(2), options=(("grpc.so_reuseport", 0),))
        export: Any = grpc.unary_unary_rpc_method_handler(
            self._export, response_serializer=ExportTraceServiceResponse.SerializeToString
        )
        handler = grpc.method_handlers_generic_handler(_SERVICE, {"Export": export})
        self._server.add_generic_rpc_handlers((handler,))
        place = f"{HOST}:0"
        self.port = (
            self._server.add_secure_port(place, credentials) if credentials else self._server.add_insecure_port(place)
        )

    @property
    def settings(self) -> dict[str, str]:
        """What a service is told, so that its spans come here."""
        return {"MAYFLY_TRACING": "otlp", "MAYFLY_TRACING_ENDPOINT": f"{HOST}:{self.port}"}

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.stop(0).wait()

    def spans(self) -> list[Recorded]:
        """Everything so far."""
        with self._lock:
            requests = [ExportTraceServiceRequest.FromString(raw) for raw in self.raw]
        return [span for request in requests for span in _recorded(request)]

    def traces(self) -> dict[str, list[Recorded]]:
        """The spans by trace, each in the order in which they began."""
        found: dict[str, list[Recorded]] = {}
        for span in sorted(self.spans(), key=lambda each: each.began):
            found.setdefault(span.trace_id, []).append(span)
        return found

    def trace_of(self, photo_id: str) -> list[Recorded]:
        """The one trace that names the photo; empty as long as there is none. AssertionError if there are two."""
        found = [
            spans
            for spans in self.traces().values()
            if any(span.attributes.get("mayfly.photo_id") == photo_id for span in spans)
        ]
        assert len(found) < 2, f"{len(found)} traces of one photo"
        return found[0] if found else []

    def _export(self, request: bytes, _context: grpc.ServicerContext) -> ExportTraceServiceResponse:
        with self._lock:
            self.raw.append(request)
        return ExportTraceServiceResponse()


def tree(spans: Sequence[Recorded]) -> list[str]:
    """One trace as lines: each span below its parent, with its milliseconds and events."""
    children: dict[str, list[Recorded]] = {}
    known = {span.span_id for span in spans}
    for span in spans:
        children.setdefault(span.parent if span.parent in known else "", []).append(span)
    start = min(span.began for span in spans)
    return [line for top in children.get("", []) for line in _lines(top, children, start, "")]


def _lines(span: Recorded, children: Mapping[str, Sequence[Recorded]], start: int, indent: str) -> Iterator[str]:
    def at(moment: int) -> str:
        return f"{(moment - start) / 1e6:.1f}"

    length = (span.ended - span.began) / 1e6
    yield f"{indent}{span.service}  {span.name}  at {at(span.began)}, {length:.1f} ms"
    known = {key.rpartition(".")[2]: value for key, value in span.attributes.items() if not key.startswith("rpc.")}
    if known:
        yield f"{indent}   · " + ", ".join(f"{key} {value}" for key, value in known.items())
    if span.events:
        yield f"{indent}   · " + ", ".join(f"{name} {at(moment)}" for name, moment, _ in span.events)
    for child in children.get(span.span_id, []):
        yield from _lines(child, children, start, indent + "  ")


def _recorded(request: ExportTraceServiceRequest) -> Iterator[Recorded]:
    for of_resource in request.resource_spans:
        service = str(_values(of_resource.resource.attributes)["service.name"])
        for of_scope in of_resource.scope_spans:
            for span in of_scope.spans:
                yield Recorded(
                    service=service,
                    name=span.name,
                    kind=KINDS.get(span.kind, str(span.kind)),
                    trace_id=span.trace_id.hex(),
                    span_id=span.span_id.hex(),
                    parent=span.parent_span_id.hex(),
                    began=span.start_time_unix_nano,
                    ended=span.end_time_unix_nano,
                    attributes=_values(span.attributes),
                    events=[(e.name, e.time_unix_nano, _values(e.attributes)) for e in span.events],
                    failed=span.status.code == span.status.STATUS_CODE_ERROR,
                )


def _values(pairs: Sequence[KeyValue]) -> dict[str, object]:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value") or "string_value") for pair in pairs}
