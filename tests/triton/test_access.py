"""Who gets to whom: only render to the server, only to the server that the list means, and only for inferences."""

from __future__ import annotations

from pathlib import Path

import grpc
import pytest

from services.render.engines.triton import processors
from services.render.engines.triton.pool import Pool
from tests.triton.conftest import Pools, is_ready
from tests.triton.server import IDENTITY, Authority, TritonServer, processors_file
from tests.unit.services.render.triton.doubles import new_pool
from tests.unit.serving import identity


@pytest.fixture
async def ready(triton: TritonServer, pools: Pools) -> Pool:
    """So that whoever isn't ready isn't for another reason."""
    made = pools.pool(triton.address)
    made.start()
    await is_ready(made)
    return made


def _gets_in(pool: Pool) -> bool:
    pool.start()
    try:
        return pool.ready()
    finally:
        pool.close()


@pytest.mark.parametrize("wrong", ["authority", "identity"])
async def test_a_server_that_isnt_the_one_on_the_list(
    ready: Pool, triton: TritonServer, operator: Authority, tmp_path: Path, wrong: str
) -> None:
    ca = Authority(tmp_path / "other").ca if wrong == "authority" else operator.ca
    name = f"other.{IDENTITY}" if wrong == "identity" else IDENTITY
    path = processors_file(tmp_path, ca=ca, endpoints=[triton.address], identity=name)
    assert not _gets_in(new_pool(processors.load(path)))


async def test_a_client_that_isnt_the_mesh_s(
    ready: Pool, triton: TritonServer, operator: Authority, tmp_path: Path
) -> None:
    listed = processors.load(processors_file(tmp_path, ca=operator.ca, endpoints=[triton.address]))
    assert not _gets_in(new_pool(listed, identity=identity("render", "another")))
    assert _gets_in(new_pool(listed))


@pytest.mark.parametrize(
    "method", ["SystemSharedMemoryStatus", "RepositoryIndex", "TraceSetting", "LogSettings", "ModelStatistics"]
)
async def test_a_server_answers_nothing_but_inferences(
    ready: Pool, triton: TritonServer, operator: Authority, method: str
) -> None:
    render = identity("render")
    credentials = grpc.ssl_channel_credentials(operator.ca.read_bytes(), render.key, render.cert)
    with grpc.secure_channel(triton.address, credentials) as channel:
        ask = channel.unary_unary(f"/inference.GRPCInferenceService/{method}")
        with pytest.raises(grpc.RpcError) as error:
            ask(b"", timeout=10)
    assert "restricted" in (error.value.details() or "")
