"""What must be left once photos have ended: no custody, no key but receipts and counters, one receipt a grant."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import TypeVar

import redis

from clients.local import ops
from clients.local.environment import SERVICES
from clients.local.mesh import LocalMesh
from mesh.testing import wait
from mesh.transparency.checkpoint import open_checkpoint
from mesh.transparency.replay import replay
from mesh.transparency.tiles import CHECKPOINT_PATH, DirectoryReader
from services.purge.receipt import Grant, LoggedReceipt, Receipt, parse_entry
from tests.e2e import keys

T = TypeVar("T")
ENDED = {"settled", "revoked", "expired"}
MAY_STAY = ("receipt:", "quota:", "pseudonym-key:", "marker:", "replica:", "leader:", "term:")
"""Kinds of keys that outlive a photo: none holds anything of it, each has a TTL."""


async def eventually(look: Callable[[], T], seconds: float, what: str) -> T:
    """The first true value of ``look``, called in a thread. AssertionError with ``what`` and the last value."""
    last: list[T] = []

    async def condition() -> T:
        last[:] = [await asyncio.to_thread(look)]
        return last[0]

    try:
        return await wait.eventually(condition, within=seconds, every=0.05)
    except AssertionError:
        raise AssertionError(f"{what}: {last[0]!r}") from None


def live_keys(mesh: LocalMesh) -> list[str]:
    """Keys that must not outlive a photo; a key without a TTL is one, whatever its kind."""
    with redis.Redis.from_url(mesh.valkey_client_url) as client:
        return living(client)


def living(client: redis.Redis) -> list[str]:
    """The same for any server."""
    found = []
    for name in client.scan_iter(count=1000):
        key, ttl = name.decode(), client.pttl(name)
        if ttl == -1 or (ttl > 0 and not key.startswith(MAY_STAY)):
            found.append(f"{key} (pttl {ttl})")
    return found


def custody(mesh: LocalMesh) -> dict[str, float]:
    """Photos that each living service says it holds, where it isn't none."""
    held = {}
    for service in SERVICES:
        if service != "purge" and mesh.is_alive(service):
            held[service] = ops.total(ops.metrics(mesh.ops_address(service)), "mayfly_custody_photos") or 0.0
    return {service: count for service, count in held.items() if count}


def log_entries(mesh: LocalMesh) -> list[Grant | LoggedReceipt]:
    """The whole log, replayed against its own signed checkpoint."""
    reader = DirectoryReader(keys.log_directory(mesh))
    checkpoint = open_checkpoint(reader.read(CHECKPOINT_PATH), keys.log_verifier(mesh))
    return [parse_entry(entry) for entry in replay(reader, checkpoint)]


def receipts(mesh: LocalMesh) -> dict[str, Receipt]:
    """The receipts by photo. AssertionError if a photo has two."""
    ring = keys.receipt_keys(mesh)
    found: dict[str, Receipt] = {}
    for entry in log_entries(mesh):
        if isinstance(entry, LoggedReceipt):
            receipt = keys.open_envelope(entry.envelope, ring)
            assert receipt.photo_id not in found, f"two receipts for {receipt.photo_id}"
            found[receipt.photo_id] = receipt
    return found


def open_grants(mesh: LocalMesh) -> list[str]:
    """Photos that were granted and have no receipt yet. AssertionError for a receipt without a grant."""
    granted: Counter[str] = Counter()
    for entry in log_entries(mesh):
        if isinstance(entry, Grant):
            granted[entry.photo_id] += 1
    ended = receipts(mesh)
    assert set(ended) <= set(granted), "a receipt without a grant"
    assert all(count == 1 for count in granted.values()), "a photo was granted twice"
    return sorted(set(granted) - set(ended))


async def balance(mesh: LocalMesh, seconds: float = 10.0) -> dict[str, Receipt]:
    """Waits until nothing is held, no key is left and every grant has its receipt; returns the receipts."""
    await eventually(lambda: nothing_in(custody, mesh), seconds, "custody is left")
    await eventually(lambda: nothing_in(leases, mesh), seconds, "leases live")
    await eventually(lambda: nothing_in(live_keys, mesh), seconds, "keys are left")
    await eventually(lambda: is_integrated(mesh), seconds, "the log is behind")
    assert not open_grants(mesh), "grants without a receipt"
    return receipts(mesh)


def nothing_in(look: Callable[[LocalMesh], dict[str, float] | list[str]], mesh: LocalMesh) -> Found:
    return Found(look(mesh))


class Found:
    """True when it is empty; prints what it isn't."""

    def __init__(self, what: dict[str, float] | list[str]) -> None:
        self._what = what

    def __bool__(self) -> bool:
        return not self._what

    def __repr__(self) -> str:
        return repr(self._what)


def leases(mesh: LocalMesh) -> dict[str, float]:
    """Leases that purge counts as not ended, by state."""
    samples = ops.metrics(mesh.ops_address("purge"))
    assert samples, "purge's metrics can't be read"
    counts = {s.labels["state"]: s.value for s in samples if s.name == "mayfly_leases"}
    return {state: count for state, count in counts.items() if count and state not in ENDED}


def is_integrated(mesh: LocalMesh) -> bool:
    """Whether every durable entry is under the newest checkpoint."""
    samples = ops.metrics(mesh.ops_address("purge"))
    return ops.total(samples, "mayfly_log_entries") == ops.total(samples, "mayfly_log_integrated_entries")


async def recovered(mesh: LocalMesh, seconds: float = 10.0) -> None:
    """Waits until every service is ready."""
    await eventually(
        lambda: all(ops.readiness(mesh.ops_address(service)).ready for service in SERVICES), seconds, "not ready"
    )
