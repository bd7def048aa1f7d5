"""A state folder for one run (the demo, `mayfly observe`), beside any mesh that is up, and gone afterwards."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from clients.local.mesh import LocalMesh
from clients.local.processes import end_kept, is_alive, started_at
from clients.local.state import ProcessRecord, write_private

_PREFIX = "demo-"
_OWNER = "owner.json"
_END_SECONDS = 10.0


@contextlib.contextmanager
def demo_mesh(state: Path, overrides: Mapping[str, Mapping[str, str]] | None = None) -> Iterator[LocalMesh]:
    """A mesh that is not started yet; it is stopped, and its folder removed, at the end. overrides: LocalMesh's."""
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    _sweep(state)
    folder = state / f"{_PREFIX}{os.getpid()}"
    folder.mkdir(mode=0o700)
    owner = {"pid": os.getpid(), "started": started_at(os.getpid()) or ""}
    write_private(folder / _OWNER, json.dumps(owner).encode())
    mesh = LocalMesh(folder, overrides)
    try:
        yield mesh
    finally:
        _remove(mesh, folder)
        with contextlib.suppress(OSError):
            state.rmdir()  # only if nothing else is in it


def _sweep(state: Path) -> None:
    """A demo that was killed could not tidy up: end its processes, and remove its folder."""
    for folder in state.glob(f"{_PREFIX}*"):
        if not _owner_lives(folder):
            with contextlib.suppress(Exception):  # somebody else's remains must not stop this demo
                _remove(LocalMesh(folder), folder)


def _owner_lives(folder: Path) -> bool:
    try:
        return is_alive(ProcessRecord(**json.loads((folder / _OWNER).read_text())))
    except (OSError, ValueError, TypeError):
        return False


def _remove(mesh: LocalMesh, folder: Path) -> None:
    end_kept(folder, _END_SECONDS)  # who watches the mesh, before it
    mesh.stop()
    shutil.rmtree(folder, ignore_errors=True)
