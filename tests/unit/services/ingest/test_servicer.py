"""Ingest on the wire: sealed when the verifier agrees, ended with an alarm when it doesn't."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from mayfly.photo.v1 import photo_pb2 as pb
from mesh.attestation import Attester
from mesh.custody.metadata import to_metadata
from mesh.errors import Internal, Invalid
from mesh.frames import encode_chunk
from services.ingest.isolated.convert import Converter, unmetered
from services.ingest.limits import Limits
from services.ingest.metrics import IngestMetrics
from services.ingest.scrub.jpeg import Jpeg
from services.ingest.servicer import SERVICE, IngestServicer
from tests import photos
from tests.unit.services.ingest.scrubbing import scrub
from tests.unit.serving import calling, error_of, identity, new_book, new_lease, served

METHOD = f"/{SERVICE}/Scrub"


class Ingest:
    """The servicer behind a real server, and a gateway that sends it photos."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        limits = Limits()
        self.servicer = IngestServicer(
            book=new_book(),
            holder="ingest/test/1",
            limits=limits,
            converter=Converter(limits, metrics=unmetered()),  # never started: nothing here needs it
            attester=Attester(identity("ingest")),
            metrics=IngestMetrics(self.registry),
        )
        self.channel: Any = None

    async def call(self, data: bytes) -> Any:
        call = self.channel.stream_stream(METHOD)(metadata=to_metadata(new_lease()))
        for chunk in photos.chunked(data, 1 << 19):
            await call.write(encode_chunk((chunk,), len(chunk)))
        await call.write(pb.PhotoFrame(seal=pb.PhotoSeal(byte_count=len(data))).SerializeToString())
        await call.done_writing()
        return call

    def counted(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(name, labels) or 0.0


@pytest.fixture
async def ingest() -> AsyncIterator[Ingest]:
    made = Ingest()
    async with (
        served(made.servicer.add_to, service="ingest", allowed={METHOD: frozenset({"gateway"})}) as address,
        calling(address, "ingest") as channel,
    ):
        made.channel = channel
        yield made


@pytest.mark.parametrize("data", [photos.phone_jpeg(), photos.gifs()["transparent"]], ids=["jpeg", "gif"])
async def test_a_photo_comes_back_scrubbed_and_sealed(ingest: Ingest, data: bytes) -> None:
    call = await ingest.call(data)
    frames = [pb.PhotoFrame.FromString(raw) async for raw in call]
    clean, facts = scrub(data)
    assert b"".join(frame.chunk for frame in frames) == clean
    assert frames[-1].seal.byte_count == len(clean) and frames[-1].seal.attestation.signature
    header = pb.ScrubbedHeader.FromString(frames[-1].seal.attestation.scrubbed_header)
    assert pb.PhotoFormat.Name(header.format) == f"PHOTO_FORMAT_{facts.format.upper()}"
    assert ingest.counted("mayfly_ingest_photos_total", format=facts.format.value) == 1
    assert ingest.counted("mayfly_ingest_disagreements_total", format=facts.format.value) == 0


async def test_a_refusal_is_counted_as_one(ingest: Ingest) -> None:
    error = await error_of(await ingest.call(photos.jpeg()[:-30]))
    assert (type(error), error.reason) == (Invalid, "TRUNCATED_PHOTO")
    assert ingest.counted("mayfly_ingest_refused_total", reason="TRUNCATED_PHOTO") == 1
    assert ingest.counted("mayfly_ingest_disagreements_total", format="jpeg") == 0


def leaky(honest: Callable[..., bytes]) -> Callable[..., bytes]:
    """A scrubber with a bug: it writes a comment."""

    def header(self: Jpeg, *args: Any) -> bytes:
        return honest(self, *args).replace(b"\xff\xd8", b"\xff\xd8" + photos.segment(0xFE, photos.CANARY), 1)

    return header


async def test_a_leak_ends_the_photo_unsealed_and_is_counted(ingest: Ingest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Jpeg, "_header", leaky(Jpeg._header))
    call = await ingest.call(photos.jpeg())
    received = []
    error = None
    try:
        async for raw in call:
            received.append(raw)
    except Exception:
        error = await error_of(call)
    assert isinstance(error, Internal)
    assert (error.reason, error.message) == ("SCRUB_DISAGREEMENT", "Internal error.")
    assert not any(photos.CANARY in raw or pb.PhotoFrame.FromString(raw).HasField("seal") for raw in received)
    assert ingest.counted("mayfly_ingest_disagreements_total", format="jpeg") == 1
    assert ingest.counted("mayfly_ingest_photos_total", format="jpeg") == 0


async def test_a_leak_behind_the_end_leaves_the_photo_unsealed(ingest: Ingest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last frame is cut when the verifier has spoken, so not even that one leaves."""
    honest = Jpeg.run

    def run(self: Jpeg) -> Any:
        yield from honest(self)
        self._source.emit(photos.CANARY)

    monkeypatch.setattr(Jpeg, "run", run)
    error = await error_of(await ingest.call(photos.jpeg()))
    assert error.reason == "SCRUB_DISAGREEMENT"
    assert ingest.counted("mayfly_ingest_disagreements_total", format="jpeg") == 1
