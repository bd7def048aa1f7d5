from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from clients.sdk import collection
from clients.sdk.client import MayflyClient
from clients.sdk.results import Lease, Picture
from mesh.errors import NotFound, Unavailable
from tests.unit.clients.double import BUNDLE, PHOTO_ID, PICTURE, PREVIEW, RESUME_TOKEN, PhotoService


async def test_collect(client: MayflyClient) -> None:
    result = await client.collect(PHOTO_ID, RESUME_TOKEN)
    assert (result.picture.data, result.receipt, result.scrubbed) == (PICTURE, BUNDLE, None)


async def test_collect_with_a_wrong_token(client: MayflyClient) -> None:
    with pytest.raises(NotFound):
        await client.collect(PHOTO_ID, "another")


@pytest.mark.parametrize("breaks", [[0], [1], [2], [3], [4], [1, 0, 1, 0, 0, 1], [2, 1, 1]])
async def test_a_collection_goes_on_where_it_was_cut_off(
    client: MayflyClient, service: PhotoService, breaks: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collection, "_PAUSE", 0.001)
    service.collect_breaks = [*breaks]
    kept: list[bytes] = []
    result = await client.collect(PHOTO_ID, RESUME_TOKEN, on_picture=lambda picture: kept.append(picture.data))
    assert (result.picture.data, result.receipt, kept) == (PICTURE, BUNDLE, [PICTURE])
    [claimant] = {request.claimant for request in service.collects}
    assert len(claimant) == 16
    assert service.confirmed == [claimant]
    received = [request.received_messages for request in service.collects]
    sums = [sum(breaks[:n]) for n in range(len(breaks) + 1)]
    assert received == [count for count in sums if count < 4], "no message is asked for twice"


async def test_a_collection_that_goes_nowhere_gives_up(
    client: MayflyClient, service: PhotoService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collection, "_PAUSE", 0.001)
    service.collect_breaks = [2] + [0] * 50
    kept: list[bytes] = []
    with pytest.raises(Unavailable):
        await client.collect(PHOTO_ID, RESUME_TOKEN, on_picture=lambda picture: kept.append(picture.data))
    assert (len(service.collects), kept, service.confirmed) == (7, [], [])


async def test_a_picture_that_could_not_be_kept_is_not_confirmed(client: MayflyClient, service: PhotoService) -> None:
    def full(_: Picture) -> None:
        raise OSError("The disk is full.")

    with pytest.raises(OSError, match="full"):
        await client.collect(PHOTO_ID, RESUME_TOKEN, claimant=b"c" * 16, on_picture=full)
    assert service.confirmed == []
    await client.collect(PHOTO_ID, RESUME_TOKEN, claimant=b"c" * 16)
    assert service.confirmed == [b"c" * 16]


async def test_a_confirmation_is_repeated_and_its_failure_costs_only_the_receipt(
    client: MayflyClient, service: PhotoService
) -> None:
    service.confirm_fails = [Unavailable("REGISTRY_UNAVAILABLE", "Away.", retry_after=0.001)] * 2
    assert (await client.collect(PHOTO_ID, RESUME_TOKEN)).receipt == BUNDLE
    service.confirm_fails = [NotFound("PHOTO_NOT_FOUND", "Gone.")]
    result = await client.collect(PHOTO_ID, RESUME_TOKEN)
    assert (result.picture.data, result.receipt) == (PICTURE, None)


async def test_a_gateway_that_knows_no_claimants(client: MayflyClient, service: PhotoService) -> None:
    service.old_gateway = True
    service.collect_breaks = [2]
    assert (await client.collect(PHOTO_ID, RESUME_TOKEN)).receipt == BUNDLE


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
    assert (scene.cost, scene.preview, scene.preview_media_type) == ("heavy", b"", "")
    [scene] = await client.scenes("fr", with_previews=True)
    assert (scene.preview, scene.preview_media_type) == (PREVIEW, "image/jpeg")


async def test_each_call_asks_for_a_token(address: str, service: PhotoService, tmp_path: Path) -> None:
    fresh = iter(["one", "two"])
    async with MayflyClient(address, tmp_path / "pki" / "ca.pem", lambda: next(fresh)) as client:
        await client.scenes()
        await client.scenes()
    assert service.tokens == ["Bearer one", "Bearer two"]
