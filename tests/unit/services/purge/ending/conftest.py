"""A purge that runs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mesh.testing.valkey import ValkeyServer
from tests.unit.services.purge.desk import Desk, desk


@pytest.fixture
async def purge(valkey: ValkeyServer, tmp_path: Path) -> AsyncIterator[Desk]:
    async with desk(valkey.url, tmp_path / "log") as running:
        yield running
