"""A scene is a folder: dropped into a deployment's own, it is served without a restart, by a locked render."""

from __future__ import annotations

import io
import json
import shutil
import signal
from pathlib import Path

import pytest
from PIL import Image

from clients.local import ops
from clients.local.mesh import LocalMesh
from clients.sdk.client import MayflyClient
from mesh.errors import Invalid
from mesh.testing.wait import eventually
from tests.e2e import books

SCENE = """
kind = "milestone"
cost = "light"
min_side = 64
intent = "A child below a garland, for a test that lays this folder down by itself."
captions = ["first_garland", "first_smile"]
[title]
en = "Garland"
fr = "Guirlande"
es = "Guirnalda"
de = "Girlande"
[words.first_garland]
en = "first garland"
fr = "première guirlande"
es = "primera guirnalda"
de = "erste Girlande"
[[recipe]]
step = "cut_out"
[[recipe]]
step = "face"
[[recipe]]
step = "backdrop"
brush = 0
strength = 0
[[recipe.back]]
layer = "sky"
[[recipe.last]]
layer = "image"
image = "garland.png"
at = [0.5, 0.04]
width = 1.0
[[recipe]]
step = "place"
[[recipe]]
step = "compose"
[[recipe]]
step = "caption"
y = 0.2
"""
PINK = (250, 20, 160)


def _lay(folder: Path) -> None:
    """The picture first: a signal that comes meanwhile finds no scene.toml, and so no scene."""
    folder.mkdir()
    Image.new("RGBA", (100, 10), (*PINK, 255)).save(folder / "garland.png")
    Image.new("RGB", (96, 120), PINK).save(folder / "preview.jpg")
    (folder / "scene.toml").write_text(SCENE, encoding="utf-8")


def _page(mesh: LocalMesh) -> dict[str, object]:
    page: dict[str, object] = json.loads(ops.get(mesh.ops_address("render"), "/readyz"))["scenes"]
    return page


async def _listed(client: MayflyClient) -> dict[str, bytes]:
    return {scene.scene_id: scene.preview for scene in await client.scenes("fr", with_previews=True)}


@pytest.mark.timeout(120)
async def test_a_folder_is_served_without_a_restart(fresh_mesh, tmp_path, portrait):
    folder = tmp_path / "scenes"
    folder.mkdir()
    mesh = fresh_mesh({"render": {"MAYFLY_RENDER_SCENES_DIR": str(folder)}})
    render, served = mesh.pid("render"), _page(mesh)["served"]
    async with MayflyClient(mesh.gateway_address, mesh.ca_file, mesh.token("parent")) as client:
        with pytest.raises(Invalid, match="UNKNOWN_SCENE"):
            await client.render(portrait[0], "garland")

        _lay(folder / "garland")
        mesh.kill("render", signal.SIGHUP)

        async def shown() -> bytes:
            return (await _listed(client)).get("garland", b"")

        assert await eventually(shown, within=20, every=0.1) == (folder / "garland" / "preview.jpg").read_bytes()
        result = await client.render(portrait[0], "garland", caption_id="first_garland", locale="fr")
        picture = Image.open(io.BytesIO(result.picture.data)).convert("RGB")
        edge = picture.getpixel((picture.width // 2, 20))
        assert isinstance(edge, tuple)
        assert max(abs(a - b) for a, b in zip(edge, PINK, strict=True)) < 20, "the scene's own picture is in it"
        with pytest.raises(Invalid, match="UNKNOWN_CAPTION"):
            await client.render(portrait[0], "garland", caption_id="six_months")

        (folder / "garland" / "scene.toml").write_text(SCENE.replace('"sky"', '"sea"'), encoding="utf-8")
        mesh.kill("render", signal.SIGHUP)
        refused = await eventually(lambda: str(_page(mesh)["refused"]), within=20, every=0.1)
        assert "garland/scene.toml: recipe[2].back[0].layer: must be one of" in refused
        samples = ops.metrics(mesh.ops_address("render"))
        assert ops.total(samples, "mayfly_render_scenes_refused") == 1
        assert ops.readiness(mesh.ops_address("render")).ready
        assert "garland" in await _listed(client), "the old one goes on"

        shutil.rmtree(folder / "garland")
        mesh.kill("render", signal.SIGHUP)
        await eventually(lambda: _page(mesh) == {"served": served, "refused": ""}, within=20, every=0.1)
        await client.get_receipt(result.photo_id, wait_for_inclusion=True)
    assert mesh.pid("render") == render and mesh.is_alive("render")
    receipt = (await books.balance(mesh))[result.photo_id]
    assert receipt.outcome == "settled"
    assert receipt.lockdown["render"], "under lockdown all the time"
