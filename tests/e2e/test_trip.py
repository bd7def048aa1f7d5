"""The main job: a real photo goes in, a picture and a signed receipt come out, and nothing stays."""

from __future__ import annotations

import asyncio
import io
import shutil
import subprocess
from pathlib import Path

import pytest
from PIL import Image

from clients.sdk.client import MayflyClient
from clients.verify import verify_bundle
from mesh.transparency.errors import VerificationError
from tests.e2e import books, keys

SCENES = ("milestone", "portrait", "enhance")


@pytest.fixture
async def client(mesh):
    async with MayflyClient(mesh.gateway_address, mesh.ca_file, mesh.token("parent")) as connected:
        yield connected


@pytest.mark.parametrize("kind", SCENES)
async def test_a_photo_becomes_a_picture_and_a_receipt(mesh, client, portrait, kind):
    data, planted = portrait
    scene = next(scene for scene in await client.scenes() if scene.kind == kind)
    steps = []
    result = await client.render(data, scene.scene_id, on_progress=steps.append)
    picture = Image.open(io.BytesIO(result.picture.data))
    picture.load()
    assert picture.format == "JPEG" and min(picture.size) >= 512
    assert not any(canary in result.picture.data for canary in planted.values())
    assert {"gps", "xmp", "iptc", "thumbnail"} <= set(result.scrubbed.removed)
    fractions = [step.fraction for step in steps if step.stage == "rendering"]
    assert fractions == sorted(fractions) and fractions[-1] == 1.0

    bundle = await client.get_receipt(result.photo_id, wait_for_inclusion=True)
    verified = verify_bundle(
        bundle, receipt_keys=keys.receipt_keys(mesh), log_vkey=keys.log_vkey(mesh), nonce=result.nonce
    )
    assert verified.logged
    receipt = verified.receipt
    assert receipt.photo_id == result.photo_id
    assert (receipt.outcome, receipt.reason) == ("settled", "delivered")
    assert {custody.holder for custody in receipt.custody} >= {"gateway", "ingest", "render"}
    assert all(custody.state == "released" for custody in receipt.custody)
    assert (await books.balance(mesh))[result.photo_id] == receipt


async def test_one_changed_byte_is_refused(mesh, client, portrait):
    scene = next(scene for scene in await client.scenes() if scene.kind == "enhance")
    result = await client.render(portrait[0], scene.scene_id)
    bundle = await client.get_receipt(result.photo_id, wait_for_inclusion=True)
    for at in range(0, len(bundle), 7):
        changed = bytearray(bundle)
        changed[at] ^= 1
        with pytest.raises(VerificationError):
            verify_bundle(bytes(changed), receipt_keys=keys.receipt_keys(mesh), log_vkey=keys.log_vkey(mesh))


# What exiftool shows of Content Credentials (docs/marking.md): all of it the same for every photo, but random ids,
# salts, and hashes of the picture itself.
MARKS = {
    "JUMDType", "JUMDToggles", "JUMDLabel", "C2paActionsV2Salt", "ActionsAction", "ActionsSoftwareAgentName",
    "ActionsSoftwareAgentVersion", "Claim_Generator_InfoVersion",
    "ActionsDigitalSourceType", "ActionsDescription", "C2paHashDataSalt", "ExclusionsStart", "ExclusionsLength", "Name",
    "Alg", "Hash", "Pad", "InstanceID", "Claim_Generator_InfoName", "Claim_Generator_InfoOrgContentauthC2Pa_Rs",
    "Signature", "Created_AssertionsUrl", "Created_AssertionsHash", "Gathered_AssertionsUrl", "Gathered_AssertionsHash",
    "Item0", "Item1Pad", "Item2", "Item3",
}  # fmt: skip


async def test_exiftool_finds_structure_and_colour_and_marks_only(mesh, client, portrait, tmp_path: Path):
    exiftool = shutil.which("exiftool")
    if exiftool is None:
        pytest.skip("exiftool is not installed (Debian: libimage-exiftool-perl)")
    scene = next(scene for scene in await client.scenes() if scene.kind == "portrait")
    result = await client.render(portrait[0], scene.scene_id)
    out = tmp_path / "picture.jpg"
    out.write_bytes(result.picture.data)
    said = await asyncio.to_thread(look_at, exiftool, out)
    tags: dict[str, set[str]] = {}
    for line in said.splitlines():
        group, _, rest = line.partition("]")
        tags.setdefault(group.strip("[ "), set()).add(rest.partition(":")[0].strip())
    # JFIF's header is what makes a JPEG file one; Composite is computed by exiftool itself.
    assert set(tags) == {"ExifTool", "File", "JFIF", "Composite", "JUMBF", "XMP"}, said
    assert tags["XMP"] == {"DigitalSourceType"}
    assert tags["JUMBF"] <= MARKS, said


def look_at(exiftool: str, file: Path) -> str:
    """Everything that exiftool finds, unknown tags and duplicates included."""
    command = [exiftool, "-G0", "-s", "-a", "-u", str(file)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
