"""RenderService on the wire: attested frames in, progress and the picture's frames out."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
from google.protobuf.message import DecodeError

from mayfly.photo.v1 import photo_pb2 as photo
from mayfly.render.v1 import render_pb2 as pb
from mesh import frames, streams
from mesh.attestation import AttestationVerifier
from mesh.context import ServerContext
from mesh.custody.book import Custody, CustodyBook, LeaseRef
from mesh.custody.guard import in_custody
from mesh.custody.metadata import HOLDER, require_lease
from mesh.errors import Aborted, Invalid
from mesh.tasks import finish
from mesh.tracing import spans
from mesh.tracing.marks import Marks
from services.render.catalogue import Catalogue
from services.render.intake import Intake
from services.render.picture import Job, Picture
from services.render.progress import Board
from services.render.scene import Scene
from services.render.slots import Order, Slots, Ticket

SERVICE = "mayfly.render.v1.RenderService"
OPTIONS = "mayfly-render-options-bin"
_HEADER, _REPLAY = 1, 5  # PhotoFrame's
_MAX_TAG = 16  # bytes
_FORMATS = {
    photo.PHOTO_FORMAT_JPEG: "jpeg",
    photo.PHOTO_FORMAT_PNG: "png",
    photo.PHOTO_FORMAT_WEBP: "webp",
    photo.PHOTO_FORMAT_GIF: "gif",
}

_CLASSES = {pb.SERVICE_CLASS_STANDARD: "standard", pb.SERVICE_CLASS_PRIORITY: "priority"}


class RenderServicer:
    """One Render call is one photo."""

    def __init__(
        self,
        *,
        book: CustodyBook,
        holder: str,
        catalogue: Catalogue,
        slots: Slots,
        verifier: AttestationVerifier,
        max_bytes: int,
    ) -> None:
        self._book = book
        self._holder = holder
        self._catalogue = catalogue
        self._slots = slots
        self._verifier = verifier
        self._max_bytes = max_bytes

    def add_to(self, server: grpc.aio.Server) -> None:
        """Registers with photo frames as raw bytes."""
        render: Any = grpc.stream_stream_rpc_method_handler(self.render)
        scenes: Any = grpc.unary_unary_rpc_method_handler(
            self.list_scenes, pb.ListScenesRequest.FromString, pb.ListScenesResponse.SerializeToString
        )
        handlers = {"Render": render, "ListScenes": scenes}
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))

    async def list_scenes(self, request: pb.ListScenesRequest, _context: ServerContext) -> pb.ListScenesResponse:
        """RenderService.ListScenes."""
        edition = self._catalogue.edition
        if request.known_edition == edition:
            return pb.ListScenesResponse(edition=edition, unchanged=True)
        scenes = [_catalogue_scene(scene) for scene in self._catalogue.scenes()]
        return pb.ListScenesResponse(scenes=scenes, edition=edition)

    async def render(self, _frames: object, context: ServerContext) -> None:
        """RenderService.Render."""
        metadata = context.invocation_metadata()
        lease, options = require_lease(self._book, metadata), _options(metadata)
        scene = self._catalogue.get(options.scene_id)
        scene.caption(options.caption_id, options.locale)
        spans.note(scene_id=scene.id, cost=scene.cost)
        with self._slots.admit(self._order(lease, scene, options)) as place:
            await context.send_initial_metadata(((HOLDER, self._holder),))
            async with in_custody(self._book, lease, brought=True) as custody:
                await self._trip(custody, place, options, context)

    def _order(self, lease: LeaseRef, scene: Scene, options: pb.RenderOptions) -> Order:
        clock = self._book.clock
        deadline = clock.monotonic() + lease.expire_time - clock.wall()
        # A caller that says nothing of its users: each photo counts as one user's.
        owner = options.owner_tag or lease.photo_id.encode()
        return Order(scene, owner, _CLASSES.get(options.service_class, "standard"), deadline)

    async def _trip(self, custody: Custody, place: Ticket, options: pb.RenderOptions, context: ServerContext) -> None:
        with place:
            picture = await self._make(await self._receive(custody, options, context), place, context)
        custody.took(len(picture.data))
        await _send(picture, context)
        while isinstance(raw := await streams.read(context.read()), bytes):
            if frames.sole_field(raw)[0] != _REPLAY:
                raise Invalid("MALFORMED_FRAME", "After the seal only a replay may follow.", field="message")
            await _send(picture, context)

    async def _receive(self, custody: Custody, options: pb.RenderOptions, context: ServerContext) -> Job:
        intake, marks = Intake(custody.lease.photo_id, self._max_bytes), Marks("photo")
        while isinstance(raw := await streams.read(context.read()), bytes):
            field, at = frames.sole_field(raw)
            if field == _HEADER and not intake.byte_count:
                continue  # what ingest knew at first; its attestation says what counts
            if field == frames.CHUNK:
                chunk = frames.take_chunk(raw, at)
                custody.took(len(chunk))
                marks.piece()
                intake.add(chunk)
            elif field == frames.SEAL:
                marks.end()
                spans.event("seal")
                return self._job(intake, _seal(raw), options, custody.ends)
            else:
                raise Invalid("MALFORMED_FRAME", "A photo is a header, chunks and a seal.", field="message")
        raise Aborted("UPLOAD_UNSEALED", "The photo ended without its seal; send it again.")

    def _job(self, intake: Intake, seal: photo.PhotoSeal, options: pb.RenderOptions, ends: float) -> Job:
        attestation = seal.attestation
        intake.check(
            self._verifier,
            byte_count=seal.byte_count,
            header=attestation.scrubbed_header,
            signature=attestation.signature,
            certificate=attestation.certificate,
        )
        facts = photo.ScrubbedHeader.FromString(attestation.scrubbed_header)
        return Job(
            photo=intake.chunks,
            format=_FORMATS[facts.format],
            width=facts.width,
            height=facts.height,
            orientation=facts.orientation,
            scene_id=options.scene_id,
            caption_id=options.caption_id,
            locale=options.locale,
            seed=options.seed,
            deadline=ends,
        )

    async def _make(self, job: Job, place: Ticket, context: ServerContext) -> Picture:
        board = Board()
        work = asyncio.ensure_future(place.render(job, board.tell))
        telling = asyncio.ensure_future(_tell(board, context))
        try:
            await asyncio.wait({work, telling}, return_when=asyncio.FIRST_COMPLETED)
            board.close()
            # Not cancelled but ended: gRPC takes no further message on a call whose last one was cancelled half-way.
            await telling
            return work.result()
        finally:
            telling.cancel()
            if not work.done():
                await finish(work)


async def _tell(board: Board, context: ServerContext) -> None:
    while (state := await board.next()) is not None:
        progress = photo.Progress(
            stage=photo.STAGE_RENDERING if state.step else photo.STAGE_QUEUED,
            step=state.step,
            fraction=state.fraction,
            queue_position=state.position,
        )
        if state.seconds is not None:
            progress.remaining.FromMilliseconds(round(1000 * state.seconds))
        await context.write(photo.PhotoFrame(progress=progress).SerializeToString())


async def _send(picture: Picture, context: ServerContext) -> None:
    data, marks = memoryview(picture.data), Marks("picture")
    header = photo.PictureHeader(
        media_type=picture.media_type, width=picture.width, height=picture.height, byte_count=len(data)
    )
    await context.write(photo.PhotoFrame(header=photo.PhotoHeader(picture=header)).SerializeToString())
    for at in range(0, len(data), frames.FRAME_CHUNK_BYTES):
        piece = data[at : at + frames.FRAME_CHUNK_BYTES]
        await context.write(frames.encode_chunk((piece,), len(piece)))
        marks.piece()
    marks.end()
    await context.write(photo.PhotoFrame(seal=photo.PhotoSeal(byte_count=len(data))).SerializeToString())


def _seal(raw: bytes) -> photo.PhotoSeal:
    try:
        return photo.PhotoFrame.FromString(raw).seal
    except DecodeError:
        raise Invalid("MALFORMED_FRAME", "The seal is not one.", field="seal") from None


def _options(metadata: Any) -> pb.RenderOptions:
    for key, value in metadata or ():
        if key == OPTIONS:
            try:
                options = pb.RenderOptions.FromString(value)
            except DecodeError:
                break
            if len(options.owner_tag) > _MAX_TAG:
                raise Invalid("OWNER_TAG_SIZE", "An owner's tag is at most 16 bytes.", field=OPTIONS, limit=_MAX_TAG)
            return options
    raise Invalid("OPTIONS_MISSING", "The call must carry its render options in its metadata.", field=OPTIONS)


def _catalogue_scene(scene: Scene) -> pb.CatalogueScene:
    return pb.CatalogueScene(
        scene_id=scene.id,
        kind=scene.kind,
        titles=dict(scene.title),
        captions=[
            pb.CatalogueCaption(caption_id=caption_id, texts=dict(texts))
            for caption_id, texts in scene.captions.items()
        ],
        min_side=scene.min_side,
        cost=scene.cost,
        preview=scene.preview.data if scene.preview else b"",
        preview_media_type=scene.preview.media_type if scene.preview else "",
    )
