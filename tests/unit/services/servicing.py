"""What the tests of servicers share: a book with a recorder, and calls that carry a lease."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import cache
from typing import Any

import grpc
from PIL import Image

from mayfly.photo.v1 import photo_pb2 as pb
from mesh import frames, streams
from mesh.custody.book import CustodyBook, LeaseRef
from mesh.custody.metadata import to_metadata
from mesh.errors import MeshError
from mesh.testing.wait import eventually
from tests.photos import encode
from tests.unit.serving import Recorder, error_of, sample

HOLDER = "test/test-0/0123456789abcdef"


def chunk(data: bytes) -> bytes:
    return pb.PhotoFrame(chunk=data).SerializeToString()


def seal(byte_count: int) -> bytes:
    return pb.PhotoFrame(seal=pb.PhotoSeal(byte_count=byte_count)).SerializeToString()


def upload(photo: bytes, size: int) -> list[bytes]:
    """A client's frames: chunks of ``size``, and the seal."""
    return [chunk(photo[at : at + size]) for at in range(0, len(photo), size)] + [seal(len(photo))]


@cache
def large_jpeg() -> bytes:
    """2400 × 1800 pixels of noise: about 7 MB, more than any window."""
    noise = Image.merge("RGB", [Image.effect_noise((2400, 1800), 90) for _ in range(3)])
    photo = encode(noise, "JPEG", quality=98)
    assert len(photo) > 6 << 20
    return photo


class Trip:
    """One call with one lease; ``send`` and ``read`` its raw frames."""

    def __init__(
        self,
        method: Any,
        lease: LeaseRef | None,
        metadata: Iterable[tuple[str, str | bytes]] = (),
        timeout: float | None = None,
    ) -> None:
        ids: Sequence[tuple[str, str | bytes]] = to_metadata(lease) if lease else ()
        self.call = method(metadata=[*ids, *metadata], timeout=timeout)

    async def send(self, *raw: bytes) -> None:
        """Writes as far as the other side takes it."""
        with suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
            for frame in raw:
                await streams.write(self.call, frame)

    async def read(self) -> bytes:
        frame = await self.call.read()
        assert isinstance(frame, bytes), await self.call.code()
        return frame

    async def rest(self) -> list[bytes]:
        """All frames until a good end."""
        found = []
        while isinstance(frame := await self.call.read(), bytes):
            found.append(frame)
        assert await self.call.code() is grpc.StatusCode.OK
        return found

    async def until_seal(self) -> list[bytes]:
        """All frames up to the seal."""
        found = [await self.read()]
        while frames.sole_field(found[-1])[0] != frames.SEAL:
            found.append(await self.read())
        return found

    async def refusal(self) -> MeshError:
        return await error_of(self.call)


def recorder(book: CustodyBook) -> Recorder:
    assert isinstance(book.listener, Recorder)
    return book.listener


async def gone(book: CustodyBook, *, photos: int = 1) -> None:
    """Until nothing is held, and each of ``photos`` was held and released once; nothing is counted as held."""
    await eventually(lambda: not book.held)
    await eventually(lambda: recorder(book).said("released") == photos)
    assert recorder(book).said("held") == photos
    for gauge in ("photos", "bytes", "overdue_photos"):
        assert sample(book.metrics, f"mayfly_custody_{gauge}", service=book.service) == 0
