"""Bounded memory: one reader that stalls stops the whole way back to the phone, and nobody gathers the photo."""

from __future__ import annotations

import asyncio
import random
import signal
import time
from pathlib import Path

from PIL import Image

from mayfly.gateway.v1 import gateway_pb2 as pb
from tests import photos
from tests.e2e import books
from tests.e2e.phone import Phone, Upload

MIB = 1 << 20
CHUNK = 512 << 10
LONG = 24 * MIB
MAY_BE_TAKEN = 8 * MIB
"""The most that may leave the phone while render stands still: the windows of four streams (phone to gateway, gateway
to ingest and back, gateway to render) of 1 MiB, a frame or two in each hand. 4 to 5 MiB as measured."""
MAY_GROW = 16.0
"""MiB that the gateway or ingest may grow by: what may be on the way, and the allocator's share. 6 to 8 as measured; 29
with a gateway that gathers, 41 with windows of 16 MiB."""


async def test_a_stalled_render_stops_the_phone_and_nobody_gathers_the_photo(fresh_mesh):
    mesh = fresh_mesh({"render": {"MAYFLY_RENDER_ENGINE": "null"}})
    async with Phone(mesh) as phone:
        await whole_trip(phone, photos.jpeg(640, 480))  # connections and code are there: what grows is the photo
        photo = long_jpeg()
        upload = await phone.render().start("bright_day", ttl=90.0)
        pids = {service: mesh.pid(service) for service in ("gateway", "ingest")}
        before = {service: resident(pid) for service, pid in pids.items()}
        sending = Sending(upload, photo)
        mesh.kill("render", signal.SIGSTOP)
        try:
            sending.start()
            taken = await sending.stalled()
            grown = {service: resident(pid) - before[service] for service, pid in pids.items()}
        finally:
            mesh.kill("render", signal.SIGCONT)
        assert CHUNK <= taken <= MAY_BE_TAKEN, f"{taken / MIB:.1f} MiB left the phone"
        assert max(grown.values()) <= MAY_GROW, f"MiB grown: {grown}"
        async with asyncio.timeout(40):
            await sending.done()
            await finish(upload)
        receipts = await books.balance(mesh)
        assert receipts[upload.accepted.photo_id].outcome == "settled"


class Sending:
    """A phone that writes as fast as it may. ``taken``: bytes that flow control has let through."""

    def __init__(self, upload: Upload, photo: bytes) -> None:
        self._upload, self._photo = upload, photo
        self._task: asyncio.Task[None] | None = None
        self.taken = 0

    def start(self) -> None:
        self._task = asyncio.create_task(self._run())

    async def done(self) -> None:
        assert self._task is not None
        await self._task

    async def _run(self) -> None:
        for at in range(0, len(self._photo), CHUNK):
            piece = self._photo[at : at + CHUNK]
            await self._upload.write(pb.RenderRequest(chunk=piece))
            self.taken += len(piece)
        await self._upload.seal(len(self._photo))

    async def stalled(self, seconds: float = 2.0, at_most: float = 15.0) -> int:
        """``taken``, once it has stood still for ``seconds``."""
        deadline = time.monotonic() + at_most
        value, since = self.taken, time.monotonic()
        while not value or time.monotonic() - since < seconds:
            assert time.monotonic() < deadline, f"the upload still moves: {self.taken / MIB:.1f} MiB"
            await asyncio.sleep(0.05)
            if self.taken != value:
                value, since = self.taken, time.monotonic()
        return value


async def whole_trip(phone: Phone, photo: bytes) -> None:
    upload = await (await phone.render().start("bright_day")).upload(photo)
    await finish(upload)


async def finish(upload: Upload) -> None:
    """The picture, `delivered`, the receipt."""
    await upload.until("seal")
    await upload.deliver()
    await upload.until("receipt")


def long_jpeg() -> bytes:
    """More than LONG bytes, below the mesh's limit, and quick to make: noise hardly compresses."""
    side = 3000
    noise = random.Random(1).randbytes(side * side * 3)
    photo = photos.encode(Image.frombytes("RGB", (side, side), noise), "JPEG", quality=97, subsampling="4:4:4")
    assert len(photo) > LONG
    return photo


def resident(pid: int) -> float:
    """VmRSS, MiB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise AssertionError("no VmRSS")
