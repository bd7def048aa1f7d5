"""Spans: nothing without a trace; by type and never by text with one; over tasks and threads."""

from __future__ import annotations

import asyncio
import contextvars
import threading

import pytest
from opentelemetry.context import Context
from opentelemetry.trace import StatusCode

from mesh.errors import Invalid, Unavailable
from mesh.tracing import passing, spans
from mesh.tracing.marks import Marks
from tests.unit.mesh.tracing.recording import recording
from tests.unit.serving import CANARY

METHOD = "/mayfly.test.v1.Test/Do"


def test_nothing_happens_while_it_is_off() -> None:
    with spans.span("step", outcome="x"):
        spans.event("seal")
        spans.note(outcome="y")
        spans.failed(ValueError())
    with spans.of_call(METHOD, Context()) as span:
        assert span is None
    assert (spans.ids(), passing.outgoing()) == ({}, ())


def test_work_that_belongs_to_no_trace_begins_none() -> None:
    with recording() as exporter:
        with spans.span("step"):
            spans.event("seal")
        assert exporter.get_finished_spans() == ()


def test_children_events_and_values() -> None:
    with recording() as exporter:
        with spans.of_call(METHOD, Context()), spans.span("step", scene_id="bright_day"):
            spans.event("seal", at=17, outcome="x")
            spans.note(user=CANARY, rpc_status=2)
        child, parent = exporter.get_finished_spans()
    assert child.parent == parent.context
    assert child.attributes == {"mayfly.scene_id": "bright_day", "rpc.grpc.status_code": 2}
    assert [(e.name, e.timestamp, e.attributes) for e in child.events] == [("seal", 17, {"mayfly.outcome": "x"})]
    assert (parent.name, parent.attributes["rpc.method"]) == ("mayfly.test.v1.Test/Do", "Do")


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (ValueError(CANARY), StatusCode.ERROR, {"error.type": "ValueError"}),
        (Unavailable("AWAY", CANARY), StatusCode.ERROR, {"error.type": "Unavailable", "mayfly.reason": "AWAY"}),
        (Invalid("WRONG", CANARY), StatusCode.UNSET, {"error.type": "Invalid", "mayfly.reason": "WRONG"}),
        (asyncio.CancelledError(CANARY), StatusCode.UNSET, {"error.type": "CancelledError"}),
    ],
)
def test_an_error_is_its_type(error: BaseException, status: StatusCode, said: dict[str, str]) -> None:
    with recording() as exporter:
        with spans.of_call(METHOD, Context()), pytest.raises(type(error)), spans.span("step"):
            raise error
        child = exporter.get_finished_spans()[0]
    assert (child.status.status_code, child.status.description) == (status, None)
    assert child.attributes == said
    assert CANARY not in child.to_json()
    assert [event.name for event in child.events] == (["exception"] if isinstance(error, ValueError) else [])


async def test_tasks_and_threads_are_in_it() -> None:
    async def work(name: str) -> None:
        with spans.span(name):
            await asyncio.sleep(0)

    def thread() -> None:
        with spans.span("thread"):
            spans.event("seal")

    with recording() as exporter:
        with spans.of_call(METHOD, Context()):
            await asyncio.gather(work("one"), work("two"))
            carried = threading.Thread(target=contextvars.copy_context().run, args=(thread,))
            carried.start()
            carried.join()
        *children, parent = exporter.get_finished_spans()
    assert {child.name for child in children} == {"one", "two", "thread"}
    assert {child.parent.span_id for child in children} == {parent.context.span_id}


async def test_what_goes_on_after_a_span_belongs_to_it_but_names_it_no_more() -> None:
    ended = asyncio.Event()

    async def later() -> tuple[dict[str, str], int]:
        await ended.wait()
        return spans.ids(), len(passing.outgoing())

    with recording():
        with spans.of_call(METHOD, Context()):
            assert set(spans.ids()) == {"trace_id", "span_id"}
            task = asyncio.create_task(later())
        ended.set()
        assert await task == ({}, 1)


def test_a_trace_that_is_not_sampled_is_not_passed_on() -> None:
    with recording(0.0) as exporter:
        with spans.of_call(METHOD, Context()), spans.span("step"):
            assert passing.outgoing() == ()
            assert spans.ids() == {}
        assert exporter.get_finished_spans() == ()


def test_passing_on() -> None:
    with recording() as exporter:
        with spans.of_call(METHOD, Context()):
            metadata = [("tracestate", CANARY), ("baggage", CANARY), *passing.outgoing()]
        parent = passing.incoming(metadata)
        assert parent is not None
        with spans.of_call(METHOD, parent):
            assert [key for key, _ in passing.outgoing()] == [passing.TRACEPARENT]
        first, second = exporter.get_finished_spans()
    assert second.parent.span_id == first.context.span_id
    assert not second.context.trace_state


@pytest.mark.parametrize(
    "value",
    [
        "",
        CANARY,
        "00-" + "0" * 32 + "-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00",  # not sampled
        "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    ],
)
def test_what_names_no_trace(value: str | bytes) -> None:
    assert passing.incoming([("traceparent", value)]) is None


def test_first_and_last() -> None:
    with recording() as exporter:
        with spans.of_call(METHOD, Context()):
            nothing, marks = Marks("picture"), Marks("photo")
            nothing.end()
            for _ in range(3):
                marks.piece()
            spans.event("between")
            marks.end()
        (span,) = exporter.get_finished_spans()
    first, between, last = span.events
    assert [first.name, between.name, last.name] == ["photo_first_byte", "between", "photo_last_byte"]
    assert first.timestamp < last.timestamp < between.timestamp
