"""Chaos runs on meshes of its own; what it shares with the end-to-end tests comes from there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from clients.local.mesh import LocalMesh
from tests.e2e.conftest import _models, fresh_mesh, portrait

__all__ = ["_models", "chaos_mesh", "fresh_mesh", "portrait"]


@pytest.fixture
def chaos_mesh(tmp_path: Path) -> Iterator[Callable[..., LocalMesh]]:
    """Starts a mesh of the test's own; it is killed rather than stopped, which nobody looks at any more."""
    started: list[LocalMesh] = []

    def start(overrides: Mapping[str, Mapping[str, str]]) -> LocalMesh:
        started.append(LocalMesh(tmp_path / f"mesh{len(started)}", overrides))
        return started[-1].start()

    yield start
    for mesh in started:
        for name in mesh.processes:
            mesh.kill(name)
        mesh.stop()
