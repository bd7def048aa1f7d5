"""A model in a real render service, under strict lockdown: photo in, picture and receipt out, and nothing left."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks import forgetting, rig
from clients.local import auditing
from clients.local.failures import StartFailed
from clients.local.mesh import LocalMesh
from clients.verify import verify_bundle
from mesh.errors import Invalid
from services.purge.auditor.hunt.index import NeedleIndex
from services.render.decoding import decode_here
from services.render.engines.diffusers.pipeline import Weights
from tests.diffusers import needs_the_extra, tiny
from tests.e2e import keys
from tests.scene_subjects import pixels

pytestmark = [needs_the_extra, pytest.mark.timeout(400)]  # a model starts twice


def told(weights: Weights) -> dict[str, str]:
    return {
        "MAYFLY_RENDER_ENGINE": "diffusers,onnx",
        "MAYFLY_RENDER_DIFFUSERS_DIR": str(weights.folder),
        "MAYFLY_RENDER_DIFFUSERS_MANIFEST": weights.manifest,
        "MAYFLY_RENDER_SAFETY_CHECKER": "required",
    }


@pytest.fixture(scope="module")
def mesh(weights: Weights, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalMesh]:
    with LocalMesh(tmp_path_factory.mktemp("mesh"), {"render": told(weights)}) as up:
        yield up


async def test_a_picture_from_a_model_and_nothing_of_it_afterwards(mesh: LocalMesh) -> None:
    """One scene of each kind, and one that the embedded engine makes."""
    photos = [forgetting.noise(41 + at) for at in range(3)]
    async with rig.client_of(mesh) as client:
        results = []
        for photo, scene in zip(photos, ("moonlit_hills", "watercolour", "bright_day"), strict=True):
            results.append(await client.render(rig.Upload(photo).chunks(), scene, ttl=120.0))
        bundle = await client.get_receipt(results[0].photo_id, wait_for_inclusion=True)
        if auditing.may_read_others():
            texts = [*photos, *(decode_here("jpeg", [photo]).rgb[::8].tobytes() for photo in photos)]
            pictures = [result.picture.data for result in results]
            # From their scan on: what stands before is the marking's, and the same in every picture.
            texts += [
                *(picture[picture.rindex(b"\xff\xda") :] for picture in pictures),
                *(pixels(picture)[::8].tobytes() for picture in pictures),
            ]
            index = NeedleIndex(forgetting.needles(texts), common=[forgetting.noise(0)])
            with forgetting.frozen(mesh):
                assert forgetting.searched(mesh, index) == 0
    receipt = verify_bundle(
        bundle, receipt_keys=keys.receipt_keys(mesh), log_vkey=keys.log_vkey(mesh), nonce=results[0].nonce
    ).receipt
    assert {"diffusers-local", "onnx-embedded"} <= set(receipt.processors)
    assert (receipt.outcome, receipt.reason) == ("settled", "delivered")


async def test_a_picture_that_fails_the_check_is_refused_to_the_phone(tmp_path: Path) -> None:
    weights = tiny.build(tmp_path / "model", threshold=tiny.FLAGGED, identity=False)
    with LocalMesh(tmp_path / "mesh", {"render": told(weights)}) as mesh:
        async with rig.client_of(mesh) as client:
            with pytest.raises(Invalid, match="PICTURE_REFUSED"):
                await client.render(rig.Upload(forgetting.noise(51)).chunks(), "watercolour", ttl=120.0)


def test_an_altered_weight_stops_the_start(tmp_path: Path) -> None:
    weights = tiny.build(tmp_path / "model", identity=False)
    unet = weights.folder / "model/unet/diffusion_pytorch_model.safetensors"
    data = bytearray(unet.read_bytes())
    data[-1] ^= 1
    unet.write_bytes(data)
    with pytest.raises(StartFailed, match=r"diffusion_pytorch_model\.safetensors is not the file"):
        LocalMesh(tmp_path / "mesh", {"render": told(weights)}).start()
