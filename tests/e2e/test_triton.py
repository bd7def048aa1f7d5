"""A photo through the whole mesh whose networks run in a real Triton: locked down, named in the receipt, forgotten."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image

from clients.local import ops
from clients.local.mesh import LocalMesh
from clients.local.pki import Pki
from clients.sdk.client import MayflyClient
from clients.verify import verify_bundle
from mesh.testing.wait import eventually
from tests.e2e import keys
from tests.triton.server import Authority, TritonServer, needs_triton, processors_file


@pytest.fixture
def triton(tmp_path: Path) -> Iterator[TritonServer]:
    """Lets the services of the mesh in `mesh0` in, whose CA it must know beforehand."""
    needs_triton()
    pki = Pki(tmp_path / "mesh0/pki")
    pki.ensure()
    with TritonServer(tmp_path / "triton", authority=Authority(tmp_path / "pool"), client_ca=pki.ca) as server:
        yield server


async def test_the_receipt_names_who_had_the_pixels(
    triton: TritonServer,
    fresh_mesh: Callable[..., LocalMesh],
    portrait: tuple[bytes, dict[str, bytes]],
    tmp_path: Path,
) -> None:
    listed = processors_file(tmp_path, ca=tmp_path / "pool/pool-ca.pem", endpoints=[triton.address])
    mesh = fresh_mesh({
        "render": {"MAYFLY_RENDER_ENGINE": "triton,onnx", "MAYFLY_RENDER_PROCESSORS_FILE": str(listed)}
    })  # fmt: skip

    def figures() -> list[ops.Sample]:
        return ops.metrics(mesh.ops_address("render"))

    await eventually(lambda: ops.total(figures(), "mayfly_render_pool_endpoints") == 1, within=60, every=0.1)
    async with MayflyClient(mesh.gateway_address, mesh.ca_file, mesh.token("parent")) as client:
        result = await client.render(portrait[0], "soft_background")
        bundle = await client.get_receipt(result.photo_id, wait_for_inclusion=True)
    with Image.open(io.BytesIO(result.picture.data)) as picture:
        picture.load()
    assert ops.total(figures(), "mayfly_render_pool_calls_total") > 0
    assert not ops.total(figures(), "mayfly_render_fallbacks_total")
    receipt = verify_bundle(
        bundle, receipt_keys=keys.receipt_keys(mesh), log_vkey=keys.log_vkey(mesh), nonce=result.nonce
    ).receipt
    assert receipt.outcome == "settled"
    assert set(receipt.processors) == {"triton-here", "recipe-embedded", "onnx-embedded"}
