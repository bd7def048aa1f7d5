"""IngestService on the wire: frames in, scrubbed frames out, attested at the end."""

from __future__ import annotations

import hashlib
from typing import Any

import grpc
from google.protobuf.message import DecodeError

from mayfly.photo.v1 import photo_pb2 as pb
from mesh import frames, streams
from mesh.attestation import Attester, Statement
from mesh.context import ServerContext
from mesh.custody.book import Custody, CustodyBook
from mesh.custody.guard import in_custody
from mesh.custody.metadata import HOLDER, require_lease
from mesh.errors import Aborted, Invalid
from mesh.log import get_logger
from mesh.tracing import spans
from mesh.tracing.marks import Marks
from services.ingest.isolated.convert import Converter
from services.ingest.isolated.passage import Passage
from services.ingest.limits import Limits
from services.ingest.metrics import IngestMetrics
from services.ingest.report import Facts
from services.ingest.verify import Verifier
from services.ingest.verify.disagreement import Disagreement
from services.ingest.wire import scrubbed_header

SERVICE = "mayfly.ingest.v1.IngestService"


class IngestServicer:
    """One Scrub call is one photo."""

    def __init__(
        self,
        *,
        book: CustodyBook,
        holder: str,
        limits: Limits,
        converter: Converter,
        attester: Attester,
        metrics: IngestMetrics,
        decode_check: bool = False,
    ) -> None:
        self._book = book
        self._holder = holder
        self._limits = limits
        self._converter = converter
        self._decode_check = decode_check
        self._attester = attester
        self._metrics = metrics

    def add_to(self, server: grpc.aio.Server) -> None:
        """Registers with frames as raw bytes on both sides: chunks are never parsed, only cut."""
        handler: Any = grpc.stream_stream_rpc_method_handler(self.scrub)
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, {"Scrub": handler}),))

    async def scrub(self, _frames: object, context: ServerContext) -> None:
        """IngestService.Scrub."""
        lease = require_lease(self._book, context.invocation_metadata())
        await context.send_initial_metadata(((HOLDER, self._holder),))
        async with in_custody(self._book, lease, brought=True) as custody:
            try:
                facts = await self._trip(custody, context)
            except Invalid as error:
                self._metrics.refused(error.reason)
                raise
        self._metrics.scrubbed(facts)

    async def _trip(self, custody: Custody, context: ServerContext) -> Facts:
        verifier = Verifier()
        try:
            return await self._relay(custody, context, verifier)
        except Disagreement as verdict:
            self._metrics.disagreed(verifier.format)
            get_logger().critical("scrub_disagreement", photo_id=custody.lease.photo_id, reason=verdict.rule)
            raise

    async def _relay(self, custody: Custody, context: ServerContext, verifier: Verifier) -> Facts:
        """No byte leaves that the verifier hasn't read, and no seal is signed before it has agreed."""
        scrubber, framer, digest = Passage(self._limits, self._converter), frames.Framer(), hashlib.sha256()
        sent: list[memoryview] = []
        announced = False
        marks = Marks("photo")

        async def send(frame: bytes) -> None:
            nonlocal announced
            if not announced and scrubber.facts is not None:
                announced = True
                await context.write(_header(scrubber.facts))
            payload = memoryview(frame)[frames.sole_field(frame)[1] :]
            digest.update(payload)
            if self._decode_check:
                sent.append(payload)
            await context.write(frame)

        while True:
            raw = await streams.read(context.read())
            if not isinstance(raw, bytes):
                raise Aborted("UPLOAD_UNSEALED", "The upload ended without its seal; send the photo again.")
            field, at = frames.sole_field(raw)
            if field == frames.SEAL:
                marks.end()
                spans.event("seal")
                break
            if field != frames.CHUNK:
                raise Invalid("MALFORMED_FRAME", "An upload holds chunks and then a seal.", field="message")
            chunk = frames.take_chunk(raw, at)
            custody.took(len(chunk))
            marks.piece()
            for frame in framer.add(verifier.feed(scrubber.feed(chunk))):
                await send(frame)
        if _sealed_count(raw) != custody.byte_count:
            raise Invalid(
                "BYTE_COUNT_MISMATCH",
                "The seal counts other bytes than came; send the photo again.",
                field="seal.byte_count",
            )
        tail, facts = await scrubber.finish()
        if facts.converted_from is not None:
            await context.write(_header(facts))
            announced = True
        for frame in framer.add(verifier.feed(tail)):
            await send(frame)
        verifier.finish(facts)
        if (rest := framer.flush()) is not None:
            await send(rest)
        if self._decode_check:
            await self._converter.check(facts.format, sent)
        await context.write(self._seal(custody.lease.photo_id, framer.byte_count, digest.digest(), facts))
        spans.event("scrubbed")
        return facts

    def _seal(self, photo_id: str, byte_count: int, digest: bytes, facts: Facts) -> bytes:
        statement = Statement(
            photo_id, byte_count, digest, scrubbed_header(facts).SerializeToString(deterministic=True)
        )
        attestation = pb.Attestation(
            scrubbed_header=statement.header,
            signature=self._attester.sign(statement),
            certificate=self._attester.certificate,
        )
        return pb.PhotoFrame(seal=pb.PhotoSeal(byte_count=byte_count, attestation=attestation)).SerializeToString()


def _sealed_count(raw: bytes) -> int:
    try:
        return pb.PhotoFrame.FromString(raw).seal.byte_count
    except DecodeError:
        raise Invalid("MALFORMED_FRAME", "The seal is not one.", field="seal") from None


def _header(facts: Facts) -> bytes:
    return pb.PhotoFrame(header=pb.PhotoHeader(scrubbed=scrubbed_header(facts))).SerializeToString()
