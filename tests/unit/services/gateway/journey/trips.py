"""Trips through a real gateway, ingest and render, as these tests begin them."""

from __future__ import annotations

from mayfly.gateway.v1 import gateway_pb2 as pb
from mesh.testing.wait import eventually
from tests.photos import jpeg
from tests.unit.services.gateway.world import Phone, World
from tests.unit.services.servicing import upload

PHOTO = jpeg(640, 480, quality=95)
UPLOAD = upload(PHOTO, 16 << 10)
DELIVERED = pb.RenderRequest(delivered=pb.Delivered())


async def uploaded(world: World) -> Phone:
    """A phone whose photo is in the engine's hands, which don't finish."""
    world.engine.may_finish.clear()
    phone = world.phone()
    await phone.start()
    await phone.send(*UPLOAD)
    await eventually(lambda: world.engine.began)
    return phone


def picture_of(messages: list[pb.RenderResponse]) -> bytes:
    return b"".join(message.chunk for message in messages)
