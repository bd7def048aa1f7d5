"""What must hold after every fault, whatever it was: the four promises, each looked for from outside."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import redis.exceptions

from clients.local.mesh import LocalMesh
from clients.verify import recount
from mesh.testing.redis_server import RedisServer
from mesh.transparency.checkpoint import open_checkpoint
from mesh.transparency.replay import replay
from mesh.transparency.tiles import CHECKPOINT_PATH, DirectoryReader
from services.purge.receipt import LoggedReceipt, Receipt, parse_entry
from tests.chaos.crowd import GRACE, TTL, Crowd
from tests.e2e import books, keys

KEYS_GRACE = 1.5  # seconds that a lease's keys may outlive it


def nobody_has_anothers(crowd: Crowd) -> None:
    """Each caller has its own picture or a clear error, and none was kept waiting."""
    wrong = [
        f"photo {trip.number} ({trip.photo_id or 'not granted'}): {trip.wrong}" for trip in crowd.trips if trip.wrong
    ]
    assert not wrong, "\n".join(wrong)


async def each_has_one_receipt(mesh: LocalMesh, crowd: Crowd) -> dict[str, Receipt]:
    """Recounted from the log; what callers were told agrees with it. Returns the receipts."""
    patience = TTL + GRACE
    await books.eventually(lambda: books.nothing_in(books.custody, mesh), patience, "custody is left")
    await books.eventually(lambda: books.nothing_in(books.leases, mesh), patience, "leases live")
    await books.eventually(lambda: books.is_integrated(mesh), patience, "the log is behind")
    entries = logged(mesh)
    count = recount(entries, receipt_keys=keys.receipt_keys(mesh))
    assert count.conserved, count.problems
    assert not count.open, f"grants without a receipt: {count.open}"
    receipts = receipts_of(mesh, entries)
    for trip in crowd.trips:
        if trip.photo_id:
            assert trip.photo_id in receipts, f"photo {trip.number} was accepted and has no receipt"
        if trip.receipt:
            assert receipts[trip.photo_id].outcome == "settled", f"photo {trip.number} was told otherwise"
    return receipts


async def nothing_stays(servers: Sequence[RedisServer]) -> None:
    """On every server that runs: no key without a TTL, and none but receipts and counters once leases are over."""

    def left() -> books.Found:
        return books.Found([f"{server.port}: {name}" for server in servers for name in _living(server)])

    await books.eventually(left, TTL + KEYS_GRACE + 1, "keys are left")


def _living(server: RedisServer) -> list[str]:
    if not server.running:
        return []
    with server.admin() as client:
        with contextlib.suppress(redis.exceptions.ResponseError):
            client.execute_command("READONLY")  # otherwise a cluster's replica refuses; whoever is none refuses this
        return books.living(client)


def logged(mesh: LocalMesh) -> list[bytes]:
    """Every entry of every log of this mesh, each replayed against its own signed checkpoint."""
    verifier = keys.log_verifier(mesh)
    entries: list[bytes] = []
    for directory in log_directories(mesh):
        reader = DirectoryReader(directory)
        entries += replay(reader, open_checkpoint(reader.read(CHECKPOINT_PATH), verifier))
    return entries


def log_directories(mesh: LocalMesh) -> list[Path]:
    return sorted(path.parent for path in mesh.state.transparency_log.rglob("checkpoint"))


def receipts_of(mesh: LocalMesh, entries: Sequence[bytes]) -> dict[str, Receipt]:
    """By photo. AssertionError if one has two."""
    ring = keys.receipt_keys(mesh)
    found: dict[str, Receipt] = {}
    for entry in map(parse_entry, entries):
        if isinstance(entry, LoggedReceipt):
            receipt = keys.open_envelope(entry.envelope, ring)
            assert receipt.photo_id not in found, f"two receipts for {receipt.photo_id}"
            found[receipt.photo_id] = receipt
    return found


def outcomes(receipts: dict[str, Receipt], crowd: Crowd) -> Counter[str]:
    """Receipts of the crowd's photos by outcome and reason."""
    mine = {trip.photo_id for trip in crowd.trips if trip.photo_id}
    return Counter(f"{r.outcome} ({r.reason})" for p, r in receipts.items() if p in mine)
