"""Two replicas, in a hurry."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mesh.testing.valkey import ValkeyServer
from services.purge import debts, presence
from tests.unit.services.purge.replicas.mesh import Mesh


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything that takes a second in production takes a tenth."""
    monkeypatch.setattr(presence, "EVERY", 0.1)
    monkeypatch.setattr(presence, "TTL", 0.4)
    monkeypatch.setattr(presence, "_MARGIN", 0.1)
    monkeypatch.setattr(presence, "_STEADY", 0.2)
    monkeypatch.setattr(presence, "_LATE", 0.2)
    monkeypatch.setattr(debts, "_EVERY", 0.1)
    monkeypatch.setattr(debts, "_AFTER", 0.5)


@pytest.fixture
async def mesh(valkey: ValkeyServer, tmp_path: Path) -> AsyncIterator[Mesh]:
    made = Mesh(valkey.url, tmp_path)
    await made.start("a", "b")
    try:
        yield made
    finally:
        await made.stop_all()
