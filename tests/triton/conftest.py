"""One real Triton server for the tests that leave it whole; others start their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mesh.testing.wait import eventually
from services.render import models
from services.render.catalogue import Catalogue
from services.render.engines.triton import processors
from services.render.engines.triton.engine import TritonEngine
from services.render.engines.triton.pool import Pool
from tests.engines.contract import SIDE
from tests.triton.server import Authority, TritonServer, needs_triton, processors_file
from tests.unit.services.render.triton.doubles import new_pool
from tests.unit.serving import authority

READY_WITHIN = 60.0  # seconds; it takes two on a machine with nothing else to do


@pytest.fixture(scope="session", autouse=True)
def _installed() -> None:
    needs_triton()


@pytest.fixture(scope="session")
def operator(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """The pool's own CA, and beside it the one of our clients."""
    made = Authority(tmp_path_factory.mktemp("operator"))
    (made.folder / "clients-ca.pem").write_bytes(authority().certificate_pem())
    return made


@pytest.fixture(scope="session")
def start_triton(operator: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], TritonServer]]:
    """Starts servers; they end with the session if not before."""
    started: list[TritonServer] = []

    def start() -> TritonServer:
        folder = tmp_path_factory.mktemp("triton")
        server = TritonServer(folder, authority=operator, client_ca=operator.folder / "clients-ca.pem")
        started.append(server.start())
        return server

    yield start
    for server in started:
        server.stop()


@pytest.fixture(scope="session")
def triton(start_triton: Callable[[], TritonServer]) -> TritonServer:
    return start_triton()


class Pools:
    """Makes pools and engines of endpoints; closes them."""

    def __init__(self, folder: Path, ca: Path) -> None:
        self._folder = folder
        self._ca = ca
        self._made: list[Pool] = []

    def pool(self, *endpoints: str, call_seconds: float = 60.0) -> Pool:
        """Not started."""
        self._made.append(new_pool(self._listed(endpoints), call_seconds=call_seconds))
        return self._made[-1]

    def engine(self, *endpoints: str, catalogue: Catalogue, side: int = SIDE) -> TritonEngine:
        """Not started."""
        listed = self._listed(endpoints)
        return TritonEngine(
            self.pool(*endpoints), processors=listed, model_dir=models.default_dir(), catalogue=catalogue, side=side
        )

    def _listed(self, endpoints: tuple[str, ...]) -> processors.Processors:
        return processors.load(processors_file(self._folder, ca=self._ca, endpoints=endpoints))

    def close(self) -> None:
        for pool in self._made:
            pool.close()


@pytest.fixture
def pools(operator: Authority, tmp_path: Path) -> Iterator[Pools]:
    made = Pools(tmp_path, operator.ca)
    yield made
    made.close()


async def is_ready(thing: Pool | TritonEngine) -> None:
    """Waits for it: a server that has just been started has networks to load."""
    await eventually(thing.ready, within=READY_WITHIN, every=0.02)
