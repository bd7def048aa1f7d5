"""Real processes with a real Valkey: one mesh for tests that leave it whole, fresh ones for the others."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from clients.local.mesh import LocalMesh
from services.render import models
from tests.e2e.phone import Phone
from tests.photos import planted_jpeg


@pytest.fixture(scope="session", autouse=True)
def _models() -> None:
    """The networks are there; `make setup` has put them."""
    models.verify(models.default_dir())


@pytest.fixture(scope="session")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalMesh]:
    """One mesh for the session."""
    with LocalMesh(tmp_path_factory.mktemp("mesh")) as up:
        yield up


@pytest.fixture
def fresh_mesh(tmp_path: Path) -> Iterator[Callable[..., LocalMesh]]:
    """Starts meshes of the test's own; they end with it."""
    started: list[LocalMesh] = []

    def start(overrides: Mapping[str, Mapping[str, str]] | None = None) -> LocalMesh:
        up = LocalMesh(tmp_path / f"mesh{len(started)}", overrides)
        started.append(up)
        return up.start()

    yield start
    for up in started:
        up.stop()


@pytest.fixture
async def phone(mesh: LocalMesh):
    """A user's app, connected to the session's mesh."""
    async with Phone(mesh) as connected:
        yield connected


@pytest.fixture(scope="session")
def portrait() -> tuple[bytes, dict[str, bytes]]:
    """A real photo with metadata planted into it, and what was planted, by name."""
    import matplotlib

    sample = Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"
    return planted_jpeg(sample.read_bytes())
