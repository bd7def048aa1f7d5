"""The engine `triton` with a real Triton server, our networks in it, and mutual TLS between the two."""

from __future__ import annotations

import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import pytest

from benchmarks.processes import cpu_seconds
from mesh.errors import Cancelled, MeshError, Overdue, Unavailable
from mesh.testing.wait import eventually
from services.render import models
from services.render.catalogue import Catalogue
from services.render.engines.base import Engine
from services.render.engines.choice import Choice
from services.render.engines.onnx import OnnxEngine
from services.render.engines.triton.engine import TritonEngine
from services.render.engines.triton.networks import PoolNetworks
from services.render.engines.triton.pool import Pool
from services.render.picture import Job, Picture
from tests.engines.contract import SIDE
from tests.scene_subjects import child, job, pixels, saved
from tests.triton.conftest import Pools, is_ready
from tests.triton.server import TritonServer

CATALOGUE = Catalogue.load()
EQUIVALENT = next(
    scene.id for scene in CATALOGUE.scenes() if scene.kind == "enhance" and {"onnx", "triton"} <= scene.equivalent
)
STYLE = (0.0, 1.0, *([0.0] * 24))
LARGE = np.random.default_rng(2).random((640, 640, 3), np.float32)
"""Takes the network seconds."""


def _render(engine: Engine, a_job: Job) -> Picture:
    return engine.render(a_job, lambda step, at: None, lambda: False)


@pytest.fixture
async def pool(triton: TritonServer, pools: Pools) -> AsyncIterator[Pool]:
    made = pools.pool(triton.address)
    made.start()
    await is_ready(made)
    yield made


@pytest.fixture
async def engine(triton: TritonServer, pools: Pools) -> TritonEngine:
    made = pools.engine(triton.address, catalogue=CATALOGUE)
    made.start()
    await is_ready(made)
    return made


@pytest.fixture(scope="module")
def onnx() -> Iterator[OnnxEngine]:
    made = OnnxEngine(model_dir=models.default_dir(), catalogue=CATALOGUE, side=SIDE)
    made.start()
    yield made
    made.close()


class Work:
    """An inference in a thread of its own, and whether the server is at it."""

    def __init__(self, server: TritonServer, work: Callable[[], object]) -> None:
        self._networks = server.networks
        self._before = self._spent()
        self._threads = ThreadPoolExecutor(1)
        self.result: Future[object] = self._threads.submit(work)

    def _spent(self) -> float:
        return sum(cpu_seconds(pid) for pid in self._networks)

    async def is_begun(self) -> None:
        """The network has computed for a while, and has most of it before it."""
        await eventually(lambda: self._spent() > self._before + 0.2, within=30)
        assert not self.result.done()

    def refusal(self) -> MeshError:
        with pytest.raises(MeshError) as error:
            self.result.result(30)
        self._threads.shutdown()
        return error.value


# --- pictures ---


@pytest.mark.parametrize("kind", ["milestone", "enhance"])
async def test_its_pictures_are_those_of_the_embedded_engine(engine: TritonEngine, onnx: OnnxEngine, kind: str) -> None:
    scene = next(scene for scene in CATALOGUE.scenes() if scene.kind == kind)
    a_job = job(saved(child()), scene.id, seed=4)
    here, there = (pixels(_render(each, a_job).data).astype(np.float32) for each in (onnx, engine))
    assert here.shape == there.shape
    assert np.abs(here - there).mean() < 0.5, "of 255"


async def test_a_batch_gives_each_picture_its_own_answer(pool: Pool) -> None:
    """Same size and style share a run, others don't; all at once."""
    networks = PoolNetworks(pool)
    images = [LARGE[at : at + 64, at : at + 64 + (at % 3) * 4] for at in range(0, 12)]
    other = (1.0, *([0.0] * 25))
    asked = [(image, style) for image in images for style in (STYLE, other)]
    alone = [networks.stylize(*each) for each in asked]
    with ThreadPoolExecutor(8) as threads:
        together = list(threads.map(lambda each: networks.stylize(*each), asked))
    for one, batched in zip(alone, together, strict=True):
        assert np.abs(one - batched).max() < 1e-3
    assert np.abs(alone[0] - alone[1]).max() > 0.05, "styles differ"


# --- time ---


async def test_a_job_is_not_waited_for_beyond_its_lease(pool: Pool, triton: TritonServer) -> None:
    error = Work(triton, lambda: PoolNetworks(pool, deadline=time.monotonic() + 0.3).stylize(LARGE, STYLE)).refusal()
    assert (type(error), error.reason) == (Overdue, "LEASE_EXPIRED")


async def test_a_job_that_is_taken_back_frees_its_thread(pool: Pool, triton: TritonServer) -> None:
    taken_back = threading.Event()
    work = Work(triton, lambda: PoolNetworks(pool, cancelled=taken_back.is_set).stylize(LARGE, STYLE))
    await work.is_begun()
    taken_back.set()
    assert isinstance(work.refusal(), Cancelled)
    assert PoolNetworks(pool).stylize(LARGE[:64, :64], STYLE).shape == (64, 64, 3), "and the server works on"


# --- death ---


async def test_a_server_killed_at_work_is_away_and_the_embedded_engine_takes_over(
    start_triton: Callable[[], TritonServer], pools: Pools, onnx: OnnxEngine
) -> None:
    server = start_triton()
    engine = pools.engine(server.address, catalogue=CATALOGUE)
    told: list[tuple[str, str]] = []
    choice = Choice([engine, onnx], catalogue=CATALOGUE, fell_back=lambda *names: told.append(names))
    engine.start()
    await is_ready(engine)
    a_job = job(saved(child()), EQUIVALENT)
    _render(choice, a_job)
    assert told == []

    work = Work(server, lambda: PoolNetworks(engine._pool).stylize(LARGE, STYLE))
    await work.is_begun()
    server.kill()
    error = work.refusal()
    assert (type(error), error.reason) == (Unavailable, "POOL_AWAY")
    assert not engine.ready()
    assert choice.ready()
    assert _render(choice, a_job).data == _render(onnx, a_job).data
    assert told == [("triton", "onnx")]

    server.start()
    await is_ready(engine)
    told.clear()
    _render(choice, a_job)
    assert told == []


async def test_the_other_endpoint_does_the_work_of_one_that_dies(
    triton: TritonServer, start_triton: Callable[[], TritonServer], pools: Pools
) -> None:
    dying = start_triton()
    pool = pools.pool(dying.address, triton.address)
    pool.start()
    await eventually(lambda: all(len(each.ready) == 2 for each in pool._endpoints), within=60, every=0.02)
    networks = PoolNetworks(pool)
    whole = networks.stylize(LARGE[:480, :480], STYLE)
    works = [Work(dying, lambda: networks.stylize(LARGE[:480, :480], STYLE)) for _ in range(2)]
    await eventually(lambda: works[0]._spent() > works[0]._before + 0.1, within=30)
    dying.kill()
    for work in works:
        assert np.abs(np.asarray(work.result.result(60)) - whole).max() < 1e-3
    assert pool.ready()
    assert networks.stylize(LARGE[:64, :64], STYLE).shape == (64, 64, 3), "the dead one isn't asked"
