"""Sending spans: what waits is bounded and counted, nobody waits for a collector, and what is set wrong is said."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from opentelemetry.context import Context

from mesh import log
from mesh.errors import ConfigError
from mesh.instruments import exemplars
from mesh.testing.collector import Collector
from mesh.testing.ports import HOST, Reserved
from mesh.testing.wait import eventually
from mesh.tracing import otlp, passing, spans
from tests.unit.mesh.test_config import Settings
from tests.unit.serving import authority, leaf, new_metrics, sample

METHOD = "/mayfly.test.v1.Test/Do"


@pytest.fixture
def settings(tmp_path: Path):
    """Of an ingest, complete; tracing as the test wants it."""
    file = tmp_path / "file.pem"
    file.write_text("pem")

    def make(**more: object) -> Settings:
        known = {"listen": f"{HOST}:1", "ops_listen": f"{HOST}:2", "tls_cert": file, "tls_key": file, "tls_ca": file}
        return Settings(**known, tracing="otlp", instance="ingest-0", **more)  # type: ignore[arg-type]

    return make


@asynccontextmanager
async def exporting(settings: Settings) -> AsyncIterator[object]:
    metrics = new_metrics()
    exporter = otlp.Otlp(settings, "ingest", metrics)
    await exporter.start()
    try:
        yield lambda outcome: sample(metrics, "mayfly_trace_spans_total", service="ingest", outcome=outcome)
    finally:
        await exporter.stop()
        log.context = dict
        exemplars.ask(None)


async def test_spans_arrive_with_who_made_them(settings, monkeypatch) -> None:
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "user=jane")
    with Collector() as collector:
        async with exporting(settings(tracing_endpoint=f"{HOST}:{collector.port}")) as count:
            with spans.of_call(METHOD, Context()), spans.span("step"):
                assert set(log.context()) == {"trace_id", "span_id"}
                assert exemplars.current() == {"trace_id": log.context()["trace_id"]}
            assert exemplars.current() is None
        # The stop has sent what waited.
        child, parent = collector.spans()
        assert (child.service, child.parent, parent.name) == ("ingest", parent.span_id, METHOD[1:])
        assert count("sent") == 2
        assert b"jane" not in b"".join(collector.raw)
    assert not spans.is_on()


async def test_what_waits_for_a_collector_that_is_away_is_bounded(settings) -> None:
    away = Reserved()
    async with exporting(settings(tracing_endpoint=f"{HOST}:{away.number}")) as count:
        with spans.of_call(METHOD, Context()):
            for _ in range(otlp.MOST_WAITING + 500):
                with spans.span("step"):
                    pass
        assert count("dropped") >= 1
        assert count("sent") == 0
        assert count("dropped") + count("failed") >= 501
    away.close()


async def test_a_batch_that_was_not_taken_is_counted_and_makes_room(settings, monkeypatch) -> None:
    monkeypatch.setattr(otlp, "_EXPORT_SECONDS", 0.2)
    away = Reserved()
    async with exporting(settings(tracing_endpoint=f"{HOST}:{away.number}")) as count:
        with spans.of_call(METHOD, Context()):
            pass
        await eventually(lambda: count("failed") == 1, within=20)
    away.close()


async def test_sampling_is_whoever_begins_the_traces(settings) -> None:
    with Collector() as collector:
        async with exporting(settings(tracing_endpoint=f"{HOST}:{collector.port}", tracing_ratio=0.0)):
            with spans.of_call(METHOD, Context()):
                assert passing.outgoing() == ()
            parent = passing.incoming([(passing.TRACEPARENT, "00-" + "1" * 32 + "-" + "2" * 16 + "-01")])
            assert parent is not None
            with spans.of_call(METHOD, parent):
                pass
        (span,) = collector.spans()
    assert (span.trace_id, span.parent) == ("1" * 32, "2" * 16)


async def test_the_stop_does_not_wait_for_a_collector_that_hangs(settings) -> None:
    """It takes connections and says nothing on them."""

    async def silence(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    server = await asyncio.start_server(silence, HOST, 0)
    port = server.sockets[0].getsockname()[1]
    async with asyncio.timeout(20), exporting(settings(tracing_endpoint=f"{HOST}:{port}")):
        with spans.of_call(METHOD, Context()):
            pass
    server.close()


def test_without_the_extra_one_line_says_so(monkeypatch) -> None:
    monkeypatch.delitem(sys.modules, "mesh.tracing.otlp")
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(ConfigError, match="extra `tracing`"):
        import mesh.tracing.otlp  # noqa: F401


@pytest.mark.parametrize(
    ("more", "complaint"),
    [
        (
            {"tracing_endpoint": "collector:4317"},
            "MAYFLY_TRACING_CA: must be set: spans leave this machine by TLS only",
        ),
        ({"tracing_endpoint": "192.0.2.1:4317"}, "MAYFLY_TRACING_CA"),
        ({"tracing_cert": "file"}, "MAYFLY_TRACING_CERT, MAYFLY_TRACING_KEY: must both be set"),
        ({"tracing_cert": "file", "tracing_key": "file"}, "MAYFLY_TRACING_CA: must be set with MAYFLY_TRACING_CERT"),
    ],
)
def test_what_does_not_go_together(settings, tmp_path, more, complaint) -> None:
    known = {key: tmp_path / "file.pem" if value == "file" else value for key, value in more.items()}
    with pytest.raises(ConfigError, match=complaint):
        settings(**known).needs()


@pytest.mark.parametrize(
    ("ca", "cert", "key", "complaint"),
    [
        ("junk", "", "", "MAYFLY_TRACING_CA: not PEM"),
        ("ours", "junk", "ours", "MAYFLY_TRACING_CERT: not PEM"),
        ("ours", "ours", "junk", "MAYFLY_TRACING_KEY: not PEM"),
        ("ours", "ours", "other", "MAYFLY_TRACING_KEY: is not the key of MAYFLY_TRACING_CERT"),
    ],
)
def test_certificates_that_are_none(settings, tmp_path, ca, cert, key, complaint) -> None:
    pems = {
        "ca": authority().certificate_pem(),
        "cert": leaf("ingest").certificate_pem(),
        "key": leaf("ingest").key_pem() if key == "other" else b"",
    }
    if key == "ours":
        pair = leaf("ingest")
        pems |= {"cert": pair.certificate_pem(), "key": pair.key_pem()}
    told = {}
    for name, kind in (("ca", ca), ("cert", cert), ("key", key)):
        if kind:
            file = tmp_path / name
            file.write_bytes(b"junk" if kind == "junk" else pems[name])
            told[f"tracing_{name}"] = file
    with pytest.raises(ConfigError, match=complaint):
        otlp.Otlp(settings(**told), "ingest", new_metrics())


def test_the_lockdown_opens_the_collectors_port_and_no_other(settings, tmp_path) -> None:
    file = tmp_path / "file.pem"
    assert settings(tracing_endpoint="127.0.0.1:14317").needs().connects == {14317}
    assert settings(tracing_endpoint="[::1]:14317").needs().connects == {14317}
    assert settings(tracing_endpoint="collector:14317", tracing_ca=file).needs().connects == {14317, 53}
    assert settings().model_copy(update={"tracing": "off"}).needs().connects == frozenset()


def test_variables_of_opentelemetrys_are_not_asked() -> None:
    """Some are read when it is first imported: a context that isn't there would end the process."""
    code = "import mesh.tracing.spans, os; print(sorted(name for name in os.environ if name.startswith('OTEL_')))"
    environment = {**os.environ, "OTEL_PYTHON_CONTEXT": "no such thing", "OTEL_TRACES_SAMPLER": "always_on"}
    said = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert (said.returncode, said.stdout, said.stderr) == (0, "[]\n", "")
