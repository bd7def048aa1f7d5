"""A GIF through the real mesh: scrubbed losslessly, attested, drawn."""

from __future__ import annotations

import io

from PIL import Image

from clients.sdk.client import MayflyClient
from tests import photos
from tests.e2e import books


async def test_a_gif_becomes_a_picture(mesh, portrait):
    data, _ = portrait
    out = io.BytesIO()
    with Image.open(io.BytesIO(data)) as image:
        image.quantize(256).save(out, "GIF", comment=photos.CANARY)
    async with MayflyClient(mesh.gateway_address, mesh.ca_file, mesh.token("parent")) as client:
        scene = next(scene for scene in await client.scenes() if scene.kind == "enhance")
        result = await client.render(out.getvalue(), scene.scene_id)
        assert (result.scrubbed.format, set(result.scrubbed.removed)) == ("gif", {"comment"})
        assert Image.open(io.BytesIO(result.picture.data)).format == "JPEG"
        await client.get_receipt(result.photo_id, wait_for_inclusion=True)
    assert (await books.balance(mesh))[result.photo_id].outcome == "settled"
