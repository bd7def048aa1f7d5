"""Converted photos on the wire: attested like any other, released like any other, and one crash is one caller's."""

# /proc is memory.

from __future__ import annotations

import hashlib
import io
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from prometheus_client import CollectorRegistry

from mayfly.photo.v1 import photo_pb2 as pb
from mesh import frames
from mesh.attestation import AttestationVerifier, Attester, Statement
from mesh.clock import SystemClock
from mesh.custody.book import CustodyBook
from mesh.custody.metadata import to_metadata
from mesh.errors import Invalid
from mesh.isolation.metrics import IsolationMetrics
from mesh.testing.wait import eventually
from services.ingest.isolated.convert import Converter
from services.ingest.limits import Limits
from services.ingest.metrics import IngestMetrics
from services.ingest.report import Source
from services.ingest.servicer import SERVICE, IngestServicer
from tests.photos import CANARY, chunk, chunked, is_idat, jpeg, png, png_parts
from tests.unit.services.ingest.isolated import samples
from tests.unit.services.ingest.isolated.samples import psnr, upright
from tests.unit.serving import calling, error_of, identity, new_book, new_lease, served

METHOD = f"/{SERVICE}/Scrub"


@dataclass
class Ingest:
    """A real server with real workers, and what it counts."""

    channel: Any
    book: CustodyBook
    converter: Converter
    registry: CollectorRegistry

    def call(self, lease: Any = None) -> Any:
        return self.channel.stream_stream(METHOD)(metadata=to_metadata(lease or new_lease()))

    async def upload(self, data: bytes, lease: Any = None) -> Any:
        call = self.call(lease)
        for piece in chunked(data, 1 << 20):
            await call.write(frames.encode_chunk((piece,), len(piece)))
        await call.write(pb.PhotoFrame(seal=pb.PhotoSeal(byte_count=len(data))).SerializeToString())
        await call.done_writing()
        return call

    def jobs(self, outcome: str) -> float:
        return (
            self.registry.get_sample_value("mayfly_isolation_jobs_total", {"service": "ingest", "outcome": outcome})
            or 0
        )

    def children(self) -> list[int]:
        pid = self.converter._workers.template_pid
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@asynccontextmanager
async def serving(*, decode_check: bool = False) -> AsyncIterator[Ingest]:
    book, registry = new_book(), CollectorRegistry()
    converter = Converter(Limits(), metrics=IsolationMetrics(registry, "ingest"))
    servicer = IngestServicer(
        book=book,
        holder="ingest/ingest-0/0123456789abcdef",
        limits=Limits(),
        converter=converter,
        attester=Attester(identity("ingest")),
        metrics=IngestMetrics(registry),
        decode_check=decode_check,
    )
    await converter.start()
    try:
        async with (
            served(servicer.add_to, service="ingest", allowed={METHOD: frozenset({"gateway"})}) as address,
            calling(address, "ingest") as channel,
        ):
            yield Ingest(channel, book, converter, registry)
    finally:
        await converter.stop()


async def received(call: Any) -> list[pb.PhotoFrame]:
    found = []
    while isinstance(raw := await call.read(), bytes):
        found.append(pb.PhotoFrame.FromString(raw))
    return found


@pytest.mark.parametrize("source", list(Source))
async def test_a_converted_photo_is_announced_attested_and_released(source: Source) -> None:
    async with serving() as ingest:
        lease = new_lease()
        first, *middle, last = await received(await ingest.upload(samples.file(source, orientation=1), lease))
        header = first.header.scrubbed
        assert (header.converted_from, header.format, header.orientation) == (source.value, pb.PHOTO_FORMAT_JPEG, 1)
        data = b"".join(frame.chunk for frame in middle)
        assert psnr(Image.open(io.BytesIO(data)), upright()) > 30
        assert CANARY not in data
        attestation = last.seal.attestation
        statement = Statement(lease.photo_id, len(data), hashlib.sha256(data).digest(), attestation.scrubbed_header)
        AttestationVerifier(identity("render"), "ingest", SystemClock()).verify(
            statement, attestation.signature, attestation.certificate
        )
        assert pb.ScrubbedHeader.FromString(attestation.scrubbed_header).converted_from == source.value
        await eventually(lambda: not ingest.book.held)


async def test_a_crash_of_the_decoder_is_one_callers_error() -> None:
    slow = samples.file(Source.BMP, upright(3000, 2400))
    async with serving() as ingest:
        call = await ingest.upload(slow)
        await eventually(ingest.children, every=0.001)
        os.kill(ingest.children()[0], signal.SIGSEGV)
        error = await error_of(call)
        assert isinstance(error, Invalid)
        assert error.reason == "MALFORMED_PHOTO"
        assert ingest.jobs("crashed") == 1
        await eventually(lambda: not ingest.book.held)
        assert len(await received(await ingest.upload(samples.file(Source.HEIC)))) >= 3


async def test_a_revoked_photo_takes_its_child_along() -> None:
    slow = samples.file(Source.BMP, upright(3000, 2400))
    async with serving() as ingest:
        lease = new_lease()
        call = await ingest.upload(slow, lease)
        await eventually(ingest.children, every=0.001)
        ingest.book.revoke(lease)
        await error_of(call)
        await eventually(lambda: not ingest.book.held)
        assert ingest.children() == []
        assert ingest.jobs("cancelled") == 1


async def test_a_caller_that_goes_away_takes_its_child_along() -> None:
    slow = samples.file(Source.BMP, upright(3000, 2400))
    async with serving() as ingest:
        call = await ingest.upload(slow)
        await eventually(ingest.children, every=0.001)
        call.cancel()
        await eventually(lambda: not ingest.book.held)
        assert ingest.children() == []


async def test_the_check_holds_the_seal_back() -> None:
    good, bad = jpeg(400, 300), broken_png()
    async with serving(decode_check=True) as ingest:
        assert (await received(await ingest.upload(good)))[-1].seal.byte_count > 0
        assert (await received(await ingest.upload(png())))[-1].seal.byte_count > 0
        assert ingest.jobs("ok") == 2
        error = await error_of(await ingest.upload(bad))
        assert (type(error), error.reason) == (Invalid, "MALFORMED_PHOTO")
    async with serving() as ingest:
        assert (await received(await ingest.upload(bad)))[-1].seal.byte_count > 0, "structure alone is fine"


def broken_png() -> bytes:
    """Right in every chunk and checksum; what its IDAT holds doesn't inflate to a picture."""
    whole = png(40, 30)
    idat = next(part for part in png_parts(whole) if is_idat(part))
    return whole.replace(idat, chunk(b"IDAT", idat[8:60] + bytes(40) + idat[100:-4]))
