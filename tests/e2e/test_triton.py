"""A photo through the whole mesh whose networks run in a real Triton: locked down, named in the receipt, forgotten."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks import forgetting
from clients.local import auditing, ops
from clients.local.mesh import LocalMesh
from clients.local.pki import Pki
from clients.sdk.client import MayflyClient
from clients.verify import verify_bundle
from mesh.testing.wait import eventually
from services.purge.auditor.hunt.index import NeedleIndex
from services.render import models
from services.render.catalogue import Catalogue
from services.render.decoding import decode_here
from services.render.engines.onnx import OnnxEngine
from services.render.picture import Cancelled, Job
from services.render.steps.pixels import Array
from services.render.steps.workspace import Networks
from tests.e2e import keys
from tests.scene_subjects import job
from tests.triton.server import Authority, TritonServer, needs_triton, processors_file

SCENE = "soft_background"  # asks for the cut-out only: what is kept of a connection is the same for all networks


@pytest.fixture
def triton(tmp_path: Path) -> Iterator[TritonServer]:
    """Lets the services of the mesh in `mesh0` in, whose CA it must know beforehand."""
    needs_triton()
    pki = Pki(tmp_path / "mesh0/pki")
    pki.ensure()
    with TritonServer(tmp_path / "triton", authority=Authority(tmp_path / "pool"), client_ca=pki.ca) as server:
        yield server


async def test_a_photo_s_pixels_go_to_the_named_processor_and_stay_nowhere_else(
    triton: TritonServer, fresh_mesh: Callable[..., LocalMesh], tmp_path: Path
) -> None:
    listed = processors_file(tmp_path, ca=tmp_path / "pool/pool-ca.pem", endpoints=[triton.address])
    mesh = fresh_mesh({
        "render": {"MAYFLY_RENDER_ENGINE": "triton,onnx", "MAYFLY_RENDER_PROCESSORS_FILE": str(listed)}
    })  # fmt: skip

    def total(name: str) -> float:
        return ops.total(ops.metrics(mesh.ops_address("render")), name) or 0.0

    await eventually(lambda: total("mayfly_render_pool_endpoints") == 1, within=60, every=0.1)
    photo = forgetting.noise(5)
    async with MayflyClient(mesh.gateway_address, mesh.ca_file, mesh.token("parent")) as client:
        result = await client.render(photo, SCENE)
        receipt = verify_bundle(
            await client.get_receipt(result.photo_id, wait_for_inclusion=True),
            receipt_keys=keys.receipt_keys(mesh), log_vkey=keys.log_vkey(mesh), nonce=result.nonce,
        ).receipt  # fmt: skip
        if auditing.may_read_others():
            index = NeedleIndex(forgetting.needles([
                # From its scan on: what stands before is the marking's, and the same in every picture.
                photo, result.picture.data[result.picture.data.rindex(b"\xff\xda"):],
                forgetting.rows(decode_here("jpeg", [photo]).rgb),
                *(tensor.tobytes() for tensor in sent(photo)),
            ]), common=[forgetting.noise(0)])  # fmt: skip
            with forgetting.frozen(mesh):
                assert forgetting.searched(mesh, index) == 0
    assert np.asarray(Image.open(io.BytesIO(result.picture.data))).std() > 8
    assert receipt.outcome == "settled"
    assert set(receipt.processors) == {"triton-here", "recipe-embedded", "onnx-embedded"}
    assert total("mayfly_render_pool_calls_total") >= 1
    assert total("mayfly_render_fallbacks_total") == 0


def sent(photo: bytes) -> list[Array]:
    """What the steps of the scene ask of the networks, in both layouts: recorded, with the networks in this process.

    One row in eight, and the last ones, which connections keep: an index of all takes half a minute.
    """
    engine = Recording(model_dir=models.default_dir(), catalogue=Catalogue.load())
    engine.start()
    engine.render(job(photo, SCENE), lambda step, at: None, lambda: False)
    return [np.ascontiguousarray(part) for rgb in engine.asked for part in _parts(rgb, rgb.transpose(2, 0, 1))]


def _parts(rows: Array, planes: Array) -> tuple[Array, ...]:
    return rows[::8], planes[:, ::8], planes[-1, -16:]


class Recording(OnnxEngine):
    def __init__(self, **how: object) -> None:
        super().__init__(**how)  # type: ignore[arg-type]
        self.asked: list[Array] = []
        self._to: Networks | None = None

    def lent(self, networks: Networks, job: Job, cancelled: Cancelled) -> Networks:
        self._to = networks
        return self

    def cut_out(self, rgb: Array) -> Array:
        assert self._to is not None
        self.asked.append(np.ascontiguousarray(rgb))
        return self._to.cut_out(rgb)

    def stylize(self, rgb: Array, weights: tuple[float, ...]) -> Array:
        assert self._to is not None
        self.asked.append(np.ascontiguousarray(rgb))
        return self._to.stylize(rgb, weights)
