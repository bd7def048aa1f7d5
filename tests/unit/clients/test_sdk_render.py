from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from clients.local.pki import Pki
from clients.sdk.client import MayflyClient
from clients.sdk.results import Lease, Progress
from mesh.errors import Aborted, Exhausted, Invalid, Unavailable
from tests.unit.clients.double import BUNDLE, PHOTO_ID, PICTURE, RESUME_TOKEN, PhotoService

PHOTO = bytes(range(251)) * 6000


async def test_a_photo_becomes_a_picture_and_a_receipt(client: MayflyClient, service: PhotoService) -> None:
    events: list[Progress] = []
    leases: list[Lease] = []

    result = await client.render(PHOTO, "s", seed=7, ttl=30, on_progress=events.append, on_accepted=leases.append)

    assert (result.photo_id, result.picture.data, result.receipt) == (PHOTO_ID, PICTURE, BUNDLE)
    assert (result.picture.media_type, result.picture.width, result.picture.height) == ("image/jpeg", 8, 6)
    assert result.scrubbed is not None and dict(result.scrubbed.removed) == {"gps": 48}
    assert bytes(service.photo) == PHOTO and service.sealed_size == len(PHOTO) and service.delivered
    assert (service.start.seed, service.start.ttl.seconds, service.start.byte_count) == (7, 30, len(PHOTO))
    assert leases[0].resume_token == RESUME_TOKEN
    stages = list(dict.fromkeys(event.stage for event in events))
    assert stages == ["uploading", "queued", "rendering", "downloading"]
    assert [event for event in events if event.stage == "queued"] == [Progress("queued", "", 0.0, 2, 7.5)]
    assert service.tokens == ["Bearer a-token"]


async def test_the_nonce_stays_here_and_only_its_commitment_is_sent(
    client: MayflyClient, service: PhotoService
) -> None:
    result = await client.render(PHOTO, "s")
    first = service.start.nonce_commitment
    assert first == hashlib.sha256(b"mayfly.receipt.nonce.v1\0" + result.nonce).digest()
    again = await client.render(PHOTO, "s")
    assert again.nonce != result.nonce and service.start.nonce_commitment != first


async def test_a_file_goes_out_in_chunks_that_the_mesh_takes(
    client: MayflyClient, service: PhotoService, tmp_path: Path
) -> None:
    service.max_chunk_bytes = 100_000
    path = tmp_path / "photo.jpg"
    path.write_bytes(PHOTO)
    await client.render(path, "s")
    assert bytes(service.photo) == PHOTO and max(service.chunk_sizes) == 100_000


async def test_a_stream_of_unknown_size(client: MayflyClient, service: PhotoService) -> None:
    async def parts() -> AsyncIterator[bytes]:
        yield b"ab"
        yield b""
        yield b"c" * (3 << 20)

    await client.render(parts(), "s")
    assert len(service.photo) == (3 << 20) + 2 and service.start.byte_count == 0
    assert max(service.chunk_sizes) == 1 << 20 and min(service.chunk_sizes) == 2


async def test_a_refused_start_is_typed(client: MayflyClient, service: PhotoService) -> None:
    service.refuse_start = Exhausted("QUOTA_EXCEEDED", "Come back tomorrow.", retry_after=60)
    with pytest.raises(Exhausted) as caught:
        await client.render(PHOTO, "s")
    assert (caught.value.reason, caught.value.retry_after) == ("QUOTA_EXCEEDED", 60)
    assert not service.photo


async def test_a_photo_refused_half_way_is_not_sent_to_its_end(client: MayflyClient, service: PhotoService) -> None:
    service.refuse_chunk = Invalid("NOT_AN_IMAGE", "Send a JPEG, PNG or WebP.")
    with pytest.raises(Invalid) as caught:
        await client.render(_endless(), "s")
    assert caught.value.reason == "NOT_AN_IMAGE"


async def test_a_photo_that_cannot_be_read_takes_the_stream_down(client: MayflyClient, service: PhotoService) -> None:
    async def failing() -> AsyncIterator[bytes]:
        yield b"first"
        raise OSError(5, "Input/output error", "photo.jpg")

    with pytest.raises(OSError, match="Input/output error"):
        await client.render(failing(), "s")
    await service.upload_ended.wait()
    assert service.sealed_size == -1


async def test_a_missing_file(client: MayflyClient, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        await client.render(tmp_path / "nothing.jpg", "s")


async def test_a_connection_that_breaks_after_the_seal_is_mended(client: MayflyClient, service: PhotoService) -> None:
    service.break_at, service.not_parked_yet = "seal", 2
    result = await client.render(PHOTO, "s")
    assert (result.picture.data, result.receipt) == (PICTURE, BUNDLE)
    assert service.not_parked_yet == 0 and len(result.nonce) == 32


async def test_unless_it_must_not_be(client: MayflyClient, service: PhotoService) -> None:
    service.break_at = "seal"
    with pytest.raises(Unavailable):
        await client.render(PHOTO, "s", reconnect=False)


async def test_a_connection_that_breaks_before_the_seal_is_not(client: MayflyClient, service: PhotoService) -> None:
    service.break_at = "chunk"
    with pytest.raises(Unavailable):
        await client.render(_endless(), "s")


async def test_a_picture_survives_the_loss_of_its_receipt(client: MayflyClient, service: PhotoService) -> None:
    service.break_at = "delivered"
    result = await client.render(PHOTO, "s")
    assert result.picture.data == PICTURE and result.receipt is None


@pytest.mark.parametrize("off_by", [-1, 1])
async def test_a_picture_that_is_not_whole_is_not_confirmed(
    client: MayflyClient, service: PhotoService, off_by: int
) -> None:
    service.claimed_size = len(PICTURE) + off_by
    with pytest.raises(Aborted):
        await client.render(PHOTO, "s")
    await service.upload_ended.wait()
    assert not service.delivered


async def test_a_mesh_of_another_ca_is_not_spoken_to(address: str, tmp_path: Path) -> None:
    strange = Pki(tmp_path / "other")
    strange.ensure()
    async with MayflyClient(address, strange.ca, "a-token") as client:
        with pytest.raises(Unavailable):
            await client.render(PHOTO, "s")


async def _endless() -> AsyncIterator[bytes]:
    while True:
        yield bytes(1 << 20)
