"""Two replicas of purge, as processes: photos through both, and through the death of either."""

from __future__ import annotations

import asyncio
import signal
import time
from collections import Counter
from collections.abc import Iterator

import pytest

from clients.local.mesh import LocalMesh
from clients.local.public_keys import PublicKeys
from clients.verify import Recount, recount, verify_bundle
from mayfly.gateway.v1 import gateway_pb2 as pb
from mesh.errors import MeshError
from mesh.testing.wait import eventually
from mesh.transparency.checkpoint import open_checkpoint
from mesh.transparency.note import Verifier
from mesh.transparency.replay import replay
from mesh.transparency.tiles import CHECKPOINT_PATH, DirectoryReader
from services.purge.receipt import Grant, LoggedReceipt, parse_entry
from tests.e2e import books, cli
from tests.e2e.phone import Phone, Upload

SCENE = "bright_day"
PURGES = ("purge", "purge-1")
WITHIN = 5.0  # seconds after which new photos are taken again


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalMesh]:
    with LocalMesh(tmp_path_factory.mktemp("replicas"), purges=2) as up:
        yield up


@pytest.fixture(autouse=True)
async def _whole(mesh: LocalMesh):
    """Each test finds and leaves it whole: every replica up and listened to. Services are ready before that: by one."""
    await eventually(lambda: _is_whole(mesh), within=20, every=0.1)
    yield
    for name in PURGES:
        if not mesh.is_alive(name):
            mesh.restart(name)
    await eventually(lambda: _is_whole(mesh), within=20, every=0.1)


def _is_whole(mesh: LocalMesh) -> bool:
    return all(_is_ready(mesh, name) for name in mesh.processes)


def _is_ready(mesh: LocalMesh, name: str) -> bool:
    from clients.local import ops

    if name == "valkey":
        return True
    up = [s.value for s in ops.metrics(mesh.ops_address(name)) if s.name == "mayfly_custody_stream_up"]
    return ops.readiness(mesh.ops_address(name)).ready and all(up)


def entries(mesh: LocalMesh, name: str) -> list[bytes]:
    """One replica's log, as far as its checkpoint goes."""
    keys = PublicKeys.of_all(mesh.state.root)[PURGES.index(name)]
    folder = mesh.state.root / ("log" if name == "purge" else "log-1")
    reader = DirectoryReader(next(path.parent for path in folder.rglob("checkpoint")))
    return list(replay(reader, open_checkpoint(reader.read(CHECKPOINT_PATH), Verifier.parse(keys.log_vkey))))


def counted(mesh: LocalMesh) -> Recount:
    """Both logs, recounted as a stranger would."""
    keys = [keys.receipts for keys in PublicKeys.of_all(mesh.state.root)]
    return recount([entry for name in PURGES for entry in entries(mesh, name)], receipt_keys=keys)


def granted_by(mesh: LocalMesh, photo_id: str) -> str:
    """Whose log has the grant; empty while none has."""
    for name in PURGES:
        grants = [parse_entry(entry) for entry in entries(mesh, name)]
        if any(isinstance(grant, Grant) and grant.photo_id == photo_id for grant in grants):
            return name
    return ""


def receipts_of(mesh: LocalMesh, photo_id: str) -> list[tuple[str, str]]:
    """Every receipt of a photo: whose log has it, and what it says."""
    found = []
    for name in PURGES:
        for entry in map(parse_entry, entries(mesh, name)):
            if isinstance(entry, LoggedReceipt) and (receipt := entry.receipt()).photo_id == photo_id:
                found.append((name, receipt.outcome))
    return found


async def started(mesh: LocalMesh, phone: Phone, home: str, *, ttl: float = 15.0) -> Upload:
    """A photo that this replica keeps. Leases are granted in turn, but who has failed to answer comes last for 5 s."""
    for _ in range(20):
        upload = await phone.render().start(SCENE, ttl=ttl)
        if await eventually(lambda u=upload: granted_by(mesh, u.accepted.photo_id), within=5, every=0.05) == home:
            return upload
        upload.hang_up()
    raise AssertionError(f"{home} grants nothing")


async def balanced(mesh: LocalMesh, *photo_ids: str, within: float = 25.0) -> None:
    """Until every grant of both logs has its one receipt, and nothing is left in Redis or in custody."""

    def is_balanced() -> bool:
        tally = counted(mesh)
        assert not tally.problems
        return not tally.open and all(receipts_of(mesh, photo_id) for photo_id in photo_ids)

    await books.eventually(is_balanced, within, "grants without a receipt")
    await books.eventually(lambda: books.nothing_in(books.custody, mesh), within, "custody is left")
    await books.eventually(lambda: books.nothing_in(books.live_keys, mesh), within, "keys are left")
    assert counted(mesh).conserved


async def deliver(upload: Upload) -> bytes:
    await upload.until("seal")
    await upload.deliver()
    await upload.until("receipt")
    return upload.receipt


async def whole_trip(mesh: LocalMesh, photo: bytes) -> bytes:
    async with Phone(mesh, "somebody new") as phone:
        upload = await (await phone.render().start(SCENE)).upload(photo)
        return await deliver(upload)


async def new_photos_work(mesh: LocalMesh, photo: bytes) -> None:
    """Within five seconds a new photo goes all the way; a phone that is told to come again does."""
    until = time.monotonic() + WITHIN
    while True:
        try:
            await whole_trip(mesh, photo)
            return
        except MeshError as error:
            assert time.monotonic() < until, error.reason
            await asyncio.sleep(0.1)


async def test_photos_go_through_both_and_their_receipts_verify(mesh: LocalMesh, portrait) -> None:
    keys = PublicKeys.of_all(mesh.state.root)
    async with Phone(mesh, "both") as phone:
        uploads = [await (await phone.render().start(SCENE)).upload(portrait[0]) for _ in range(4)]
        await asyncio.gather(*(deliver(upload) for upload in uploads))
    await balanced(mesh, *(upload.accepted.photo_id for upload in uploads))
    homes = Counter(receipts_of(mesh, upload.accepted.photo_id)[0] for upload in uploads)
    assert homes == {("purge", "settled"): 2, ("purge-1", "settled"): 2}
    for upload in uploads:
        verify_bundle(upload.receipt, receipt_keys=[k.receipts for k in keys], log_vkey=[k.log_vkey for k in keys])


async def test_deleting_my_data_reaches_both(mesh: LocalMesh, portrait) -> None:
    async with Phone(mesh, "deleting") as phone:
        photos = {name: (await started(mesh, phone, name, ttl=20.0)).accepted.photo_id for name in PURGES}
        reply = await phone.ask("RevokeAll", pb.RevokeAllRequest())
        assert {receipt.photo_id for receipt in reply.receipts} >= set(photos.values())
        assert not reply.pending_photo_ids
        await balanced(mesh, *photos.values())
    for name, photo_id in photos.items():
        assert receipts_of(mesh, photo_id) == [(name, "revoked")]


@pytest.mark.parametrize("victim", PURGES)
async def test_the_death_of_one_leaves_the_others_photos_and_new_ones_alone(
    mesh: LocalMesh, portrait, victim: str
) -> None:
    survivor = next(name for name in PURGES if name != victim)
    async with Phone(mesh, "theirs") as phone, Phone(mesh, "ours") as other:
        lost = await started(mesh, phone, victim, ttl=6.0)
        kept = await (await started(mesh, other, survivor)).send(portrait[0][:10_000])
        mesh.kill(victim, signal.SIGKILL)
        await new_photos_work(mesh, portrait[0])
        await kept.send(portrait[0][10_000:])
        await kept.seal(len(portrait[0]))
        await deliver(kept)
        mesh.restart(victim)
        await balanced(mesh, lost.accepted.photo_id, kept.accepted.photo_id)
    assert receipts_of(mesh, kept.accepted.photo_id) == [(survivor, "settled")]
    assert len(receipts_of(mesh, lost.accepted.photo_id)) == 1
    assert receipts_of(mesh, lost.accepted.photo_id)[0][1] in ("revoked", "expired")


async def test_a_photo_survives_the_death_of_the_replica_that_keeps_its_lease(mesh: LocalMesh, portrait) -> None:
    """Holders go on by their own clocks; another replica takes the lease over when it is asked to settle it."""
    photo = portrait[0]
    async with Phone(mesh, "survivor") as phone:
        rendering = await (await started(mesh, phone, "purge-1", ttl=30.0)).upload(photo)
        unconfirmed = await (await started(mesh, phone, "purge-1", ttl=30.0)).upload(photo)
        await rendering.until("progress")
        await unconfirmed.until("seal")
        mesh.kill("purge-1", signal.SIGKILL)
        await unconfirmed.deliver()
        await unconfirmed.until("receipt")
        await deliver(rendering)
        photo_ids = [upload.accepted.photo_id for upload in (rendering, unconfirmed)]
        await books.eventually(
            lambda: all(receipts_of(mesh, photo_id) for photo_id in photo_ids), 5.0, "receipts are missing"
        )
        mesh.restart("purge-1")
        await balanced(mesh, *photo_ids)
    for photo_id in photo_ids:
        assert receipts_of(mesh, photo_id) == [("purge", "settled")], "granted in the one log, ended in the other"


async def test_the_big_red_button_reaches_every_replica_and_says_which_one_it_could_not(mesh, portrait):
    press = ("purge", "--all", "--yes", "--json", "--state", str(mesh.state.root))
    async with Phone(mesh) as phone:
        uploads = [await (await started(mesh, phone, name)).send(portrait[0][:20_000]) for name in PURGES]
        pressed = await asyncio.to_thread(cli.Mayfly(mesh.state.root), *press)
        said = pressed.json()
        assert (pressed.code, said["total"]) == (0, said["ended"])
        assert all(replica["ended"] for replica in said["replicas"].values())
        for upload in uploads:
            assert (await upload.error()).reason == "PHOTO_REVOKED"
    mesh.kill("purge-1")
    pressed = await asyncio.to_thread(cli.Mayfly(mesh.state.root), *press)
    away = [answer["error"]["reason"] for answer in pressed.json()["replicas"].values() if "error" in answer]
    assert (pressed.code, away) == (5, ["PEER_UNAVAILABLE"])
