"""What iPhones send, through the real mesh: decoded twice, each time in a process that can do nothing else."""

from __future__ import annotations

import io

import pillow_heif
from PIL import Image

from clients.sdk.client import MayflyClient
from tests.e2e import books


async def test_a_heic_becomes_a_picture_and_a_receipt(mesh, portrait):
    pillow_heif.register_heif_opener()
    data, planted = portrait
    out = io.BytesIO()
    with Image.open(io.BytesIO(data)) as image:
        image.save(out, "HEIF", quality=85, exif=image.getexif().tobytes(), xmp=planted["xmp"])
    async with MayflyClient(mesh.gateway_address, mesh.ca_file, mesh.token("parent")) as client:
        scene = next(scene for scene in await client.scenes() if scene.kind == "enhance")
        result = await client.render(out.getvalue(), scene.scene_id)
        picture = Image.open(io.BytesIO(result.picture.data))
        picture.load()
        assert picture.format == "JPEG"
        assert result.scrubbed.format == "jpeg"
        assert {"exif", "xmp"} <= set(result.scrubbed.removed)
        await client.get_receipt(result.photo_id, wait_for_inclusion=True)
    receipt = (await books.balance(mesh))[result.photo_id]
    assert receipt.outcome == "settled"
    assert {"decoders_landlock", "decoders_seccomp"} <= set(receipt.lockdown["render"])
    assert {"decoders_landlock", "decoders_seccomp"} <= set(receipt.lockdown["ingest"])
