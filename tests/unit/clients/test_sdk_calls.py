from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from clients.sdk.client import MayflyClient
from clients.sdk.results import Lease
from mesh.errors import NotFound, Unavailable
from tests.unit.clients.double import BUNDLE, PHOTO_ID, PICTURE, RESUME_TOKEN, PhotoService


async def test_collect(client: MayflyClient) -> None:
    result = await client.collect(PHOTO_ID, RESUME_TOKEN)
    assert (result.picture.data, result.receipt, result.scrubbed) == (PICTURE, BUNDLE, None)


async def test_collect_with_a_wrong_token(client: MayflyClient) -> None:
    with pytest.raises(NotFound):
        await client.collect(PHOTO_ID, "another")


async def test_waiting_for_a_parked_picture_ends_with_the_lease(client: MayflyClient, service: PhotoService) -> None:
    service.not_parked_yet = 1000
    ended = Lease(PHOTO_ID, datetime.now(UTC) - timedelta(seconds=1), RESUME_TOKEN)
    with pytest.raises(Unavailable) as caught:
        await client.collect_when_parked(ended)
    assert caught.value.reason == "NOT_PARKED_YET" and service.not_parked_yet == 999


async def test_revoke(client: MayflyClient, service: PhotoService) -> None:
    assert await client.revoke(PHOTO_ID) == BUNDLE
    assert service.revoked == [PHOTO_ID]
    with pytest.raises(NotFound):
        await client.revoke("0" * 32)


async def test_revoke_all(client: MayflyClient) -> None:
    revoked = await client.revoke_all()
    assert (revoked.receipts, revoked.pending) == ((BUNDLE,), ("f" * 32,))


async def test_get_receipt(client: MayflyClient) -> None:
    assert await client.get_receipt(PHOTO_ID, wait_for_inclusion=True) == BUNDLE


async def test_scenes(client: MayflyClient) -> None:
    [scene] = await client.scenes("fr")
    assert (scene.scene_id, scene.kind, scene.min_side) == ("s", "milestone", 256)
    assert dict(scene.captions) == {"six-months": "six months"}


async def test_each_call_asks_for_a_token(address: str, service: PhotoService, tmp_path: Path) -> None:
    fresh = iter(["one", "two"])
    async with MayflyClient(address, tmp_path / "pki" / "ca.pem", lambda: next(fresh)) as client:
        await client.scenes()
        await client.scenes()
    assert service.tokens == ["Bearer one", "Bearer two"]
