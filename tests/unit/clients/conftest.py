from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from clients.sdk.client import MayflyClient
from tests.unit.clients.double import PhotoService, serve


@pytest.fixture
async def service() -> PhotoService:
    return PhotoService()


@pytest.fixture
async def address(service: PhotoService, tmp_path: Path) -> AsyncIterator[str]:
    server, address, _ = await serve(service, tmp_path / "pki")
    yield address
    await server.stop(None)


@pytest.fixture
async def client(address: str, tmp_path: Path) -> AsyncIterator[MayflyClient]:
    async with MayflyClient(address, tmp_path / "pki" / "ca.pem", "a-token") as client:
        yield client
