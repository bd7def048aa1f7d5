"""One photo, one trace: real processes send their spans to a real collector, and say what may be said."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import grpc
import pytest

from clients.local import ops
from clients.local.mesh import LocalMesh
from clients.local.pki import PUBLIC, Pki
from mesh.testing.collector import Collector, Recorded
from mesh.testing.ports import HOST, Reserved
from mesh.tracing import fields
from tests.e2e import books
from tests.e2e.phone import Phone

SCENE = "restore"
PAINTED = "bright_day"
"""The scene that is really made; the others' engine does nothing."""
SERVICES = ("gateway", "ingest", "render", "purge")
RENDER = "mayfly.gateway.v1.PhotoService/Render"
SCRUB = "mayfly.ingest.v1.IngestService/Scrub"
DRAW = "mayfly.render.v1.RenderService/Render"
_PURGE = "mayfly.purge.v1.RegistryService"
HOPS = {f"{_PURGE}/GrantLease", SCRUB, DRAW, f"{_PURGE}/SettleLease"}
"""What the gateway asks of the others for one photo that is delivered."""
FOREIGN = "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[LocalMesh, Collector]]:
    """A mesh whose spans go to a collector by mutual TLS."""
    state = tmp_path_factory.mktemp("traced")
    told: dict[str, dict[str, str]] = {service: {} for service in SERVICES}
    mesh = LocalMesh(state, told)
    pki = Pki(mesh.state.pki)
    pki.ensure()
    server = grpc.ssl_server_credentials(
        [(pki.key(PUBLIC).read_bytes(), pki.certificate(PUBLIC).read_bytes())], pki.ca.read_bytes(), True
    )
    with Collector(server) as collector:
        for service in SERVICES:
            told[service] |= {
                **collector.settings,
                "MAYFLY_TRACING_CA": str(pki.ca),
                "MAYFLY_TRACING_CERT": str(pki.certificate(service)),
                "MAYFLY_TRACING_KEY": str(pki.key(service)),
            }
        told["render"] |= {
            "MAYFLY_RENDER_ENGINE": "null,onnx",
            "MAYFLY_RENDER_SCENE_ENGINES": f"{PAINTED}=onnx",
        }
        with mesh:
            yield mesh, collector


async def trace_of(collector: Collector, photo_id: str, *names: str) -> list[Recorded]:
    """The photo's trace, once it has a span of each of these names, and the one that begins it."""

    def complete() -> list[Recorded]:
        trace = collector.trace_of(photo_id)
        return trace if {RENDER, *names} <= {span.name for span in trace} else []

    try:
        return await books.eventually(complete, 15, "no trace")
    except AssertionError:
        raise AssertionError([span.name for span in collector.trace_of(photo_id)]) from None


def one(trace: list[Recorded], name: str, service: str) -> Recorded:
    (found,) = [span for span in trace if (span.name, span.service) == (name, service)]
    return found


async def delivered(phone: Phone, photo: bytes, scene: str = SCENE) -> str:
    upload = await (await phone.render().start(scene)).upload(photo)
    await upload.until("seal")
    await upload.deliver()
    await upload.until("receipt")
    with pytest.raises(EOFError):
        await upload.read()
    return upload.accepted.photo_id


async def test_a_photo_has_one_trace_over_all_hops(traced, portrait):
    mesh, collector = traced
    async with Phone(mesh) as phone:
        phone.metadata = (*phone.metadata, ("traceparent", f"00-{FOREIGN}-00f067aa0ba902b7-01"))
        photo_id = await delivered(phone, portrait[0], PAINTED)
    trace = await trace_of(collector, photo_id, *HOPS, "journey", "encode")

    (first,) = [span for span in trace if not span.parent]
    assert (first.service, first.name, first.kind) == ("gateway", RENDER, "server")
    assert first.trace_id != FOREIGN, "an app doesn't say which trace its photo belongs to"
    known = {span.span_id: span for span in trace}
    assert all(span.parent in known for span in trace if span.parent)
    assert {span.service for span in trace} == set(SERVICES)

    journey = one(trace, "journey", "gateway")
    assert journey.parent == first.span_id
    hops = [span for span in trace if span.kind == "server" and span.parent == journey.span_id]
    assert sorted(span.name for span in hops) == sorted(HOPS)
    assert all(journey.began <= span.began and span.ended <= journey.ended + 50_000_000 for span in hops)
    assert {span.attributes["rpc.grpc.status_code"] for span in (first, *hops)} == {0}
    assert not any(span.failed for span in trace)

    steps = {span.name: known[span.parent].name for span in trace if span.service == "render" and span.kind != "server"}
    assert steps["queue"] == steps["render"] == DRAW
    assert steps["decode"] == steps["encode"] == "render"
    assert steps["decoder"] == "decode", "the isolated decoder's work is a part of the step that asks for it"
    purged = {(span.name, known[span.parent].name.rpartition("/")[2]) for span in trace if span.service == "purge"}
    assert {
        ("log", "GrantLease"),
        ("registry", "GrantLease"),
        ("holders", "SettleLease"),
        ("log", "SettleLease"),
    } <= purged


async def test_the_milestones_are_events_in_their_order(traced, portrait):
    mesh, collector = traced
    async with Phone(mesh) as phone:
        trace = await trace_of(collector, await delivered(phone, portrait[0]), *HOPS, "journey")
    journey = one(trace, "journey", "gateway")
    assert journey.event_names == [
        "held", "accepted", "photo_first_byte", "photo_last_byte", "seal", "scrubbed", "picture_first_byte",
        "picture_last_byte", "delivered", "released", "settled",
    ]  # fmt: skip
    times = [at for _, at, _ in journey.events]
    assert times == sorted(times)
    scrub = one(trace, SCRUB, "ingest")
    assert scrub.event_names == ["held", "photo_first_byte", "photo_last_byte", "seal", "scrubbed", "released"]
    render = one(trace, DRAW, "render")
    assert render.event_names == [
        "held", "photo_first_byte", "photo_last_byte", "seal", "picture_first_byte", "picture_last_byte", "released",
    ]  # fmt: skip


async def test_only_what_is_allowed_is_said(traced, portrait):
    mesh, collector = traced
    async with Phone(mesh) as phone:
        trace = await trace_of(collector, await delivered(phone, portrait[0]), *HOPS)
    said = {key for span in collector.spans() for key in span.attributes}
    said |= {key for span in collector.spans() for _, _, values in span.events for key in values}
    assert said <= fields.ATTRIBUTES
    journey = one(trace, "journey", "gateway")
    assert journey.attributes["mayfly.scene_id"] == SCENE
    assert journey.attributes["mayfly.outcome"] == "delivered"
    for service in SERVICES:
        samples = ops.metrics(mesh.ops_address(service))
        assert ops.total(samples, "mayfly_trace_fields_withheld") == 0, service
        assert (ops.total(samples, "mayfly_trace_spans_total", outcome="sent") or 0) > 0, service
        assert not ops.total(samples, "mayfly_trace_spans_total", outcome="failed")


async def test_a_phone_that_hangs_up_ends_every_span(traced, portrait):
    mesh, collector = traced
    async with Phone(mesh) as phone:
        upload = await (await phone.render().start(SCENE)).send(portrait[0][:20_000])
        await books.eventually(lambda: books.custody(mesh).get("ingest"), 5, "ingest has nothing")
        upload.hang_up()
    revoke = f"{_PURGE}/RevokeLease"
    trace = await trace_of(collector, upload.accepted.photo_id, SCRUB, DRAW, revoke, "journey")
    journey = one(trace, "journey", "gateway")
    # Which of the two comes first, the end of the stream or that of the call, is the transport's to say.
    assert journey.attributes["mayfly.reason"] in {"CLIENT_GONE", "UPLOAD_UNSEALED"}
    assert one(trace, revoke, "purge").parent == journey.span_id, "also what is done after its end belongs to it"
    assert "released" in one(trace, SCRUB, "ingest").event_names
    ends = {code.value[0] for code in (grpc.StatusCode.CANCELLED, grpc.StatusCode.ABORTED)}
    assert one(trace, RENDER, "gateway").attributes["rpc.grpc.status_code"] in ends
    assert not any(span.failed for span in trace), "nothing of ours has failed"


async def test_a_lease_that_expires_ends_every_span(traced, portrait):
    mesh, collector = traced
    async with Phone(mesh) as phone:
        upload = await (await phone.render().start(SCENE, ttl=1.2)).send(portrait[0][:20_000])
        await upload.error()
    trace = await trace_of(collector, upload.accepted.photo_id, SCRUB, "journey")
    for name, service in ((RENDER, "gateway"), ("journey", "gateway")):
        span = one(trace, name, service)
        assert span.failed
        assert (span.attributes["error.type"], span.attributes["mayfly.reason"]) == ("Overdue", "LEASE_EXPIRED")


async def test_a_parked_picture_is_collected_in_a_trace_of_its_own(traced, portrait):
    mesh, collector = traced
    async with Phone(mesh) as phone:
        upload = await (await phone.render().start(SCENE)).upload(portrait[0])
        await upload.until("header")
        upload.hang_up()
        accepted = upload.accepted
        trace = await trace_of(collector, accepted.photo_id, f"{_PURGE}/Park", "journey")
        # Which of the two is the transport's to say: whether the call ended first, or the phone's side of it.
        assert {"parked", "unconfirmed"} & set(one(trace, "journey", "gateway").event_names)
        await phone.collect(accepted.photo_id, accepted.resume_token)
    collect = await books.eventually(
        lambda: [spans for spans in collector.traces().values() if spans[0].name.endswith("/Collect")], 10, "no trace"
    )
    assert accepted.photo_id in {span.attributes.get("mayfly.photo_id") for spans in collect for span in spans}


async def test_exemplars_lead_to_the_trace(traced, portrait):
    mesh, collector = traced
    async with Phone(mesh) as phone:
        trace = await trace_of(collector, await delivered(phone, portrait[0]), *HOPS)
    page = await asyncio.to_thread(openmetrics, mesh.ops_address("gateway"))
    buckets = [line for line in page.splitlines() if line.startswith("mayfly_gateway_journey_seconds_bucket")]
    assert any(f'trace_id="{trace[0].trace_id}"' in line for line in buckets)


def openmetrics(address: str) -> str:
    import http.client

    connection = http.client.HTTPConnection(address, timeout=5)
    connection.request("GET", "/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
    return connection.getresponse().read().decode()


async def test_photos_that_are_not_sampled_and_a_collector_that_is_away(tmp_path, portrait):
    """The gateway begins traces, so it alone decides; and nobody who makes a picture waits for a collector."""
    away = Reserved()
    nowhere = {"MAYFLY_TRACING": "otlp", "MAYFLY_TRACING_ENDPOINT": f"{HOST}:{away.number}"}
    with Collector() as collector:
        told = {service: dict(nowhere) for service in SERVICES}
        told["render"]["MAYFLY_RENDER_ENGINE"] = "null"
        told["gateway"] = {**collector.settings, "MAYFLY_TRACING_RATIO": "0"}
        with LocalMesh(tmp_path / "mesh", told) as mesh:
            async with Phone(mesh) as phone:
                unseen = await delivered(phone, portrait[0])
            told["gateway"]["MAYFLY_TRACING_RATIO"] = "1"
            mesh.restart("gateway")  # its spans are sent before it ends
            await books.recovered(mesh)
            assert collector.spans() == []
            async with Phone(mesh) as phone:
                for _ in range(3):
                    await delivered(phone, portrait[0])

            def failed(service: str) -> float:
                return (
                    ops.total(ops.metrics(mesh.ops_address(service)), "mayfly_trace_spans_total", outcome="failed") or 0
                )

            for service in ("ingest", "render", "purge"):
                await books.eventually(lambda service=service: failed(service) > 0, 20, f"{service} doesn't notice")
            receipts = await books.balance(mesh)
            assert {receipt.outcome for receipt in receipts.values()} == {"settled"}
            assert unseen in receipts
            killed = mesh.stop()
            assert killed == [], "a collector that is away keeps no process from its end"
        assert {span.service for span in collector.spans()} == {"gateway"}
    away.close()
