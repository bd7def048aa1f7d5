"""The countings: what differs for a moment is nothing, what differs for long is named with its photo_ids."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from prometheus_client import CollectorRegistry, Counter, Gauge

from mesh.clock import SystemClock
from mesh.health import Health
from mesh.ops import OpsServer
from mesh.ops_ports import SCHEME, OpsPorts
from mesh.ops_tls import MutualTls
from mesh.transparency.key_list import KeyList
from mesh.transparency.note import Signer
from services.purge.auditor.countings import Signed, Uncounted
from services.purge.auditor.reconcile import History, Reconciler
from services.purge.ledger import Ledger
from services.purge.log import Log
from services.purge.public_files import LogFiles, PublicKeys
from services.purge.receipt import Receipt
from services.purge.tally import Granted
from tests.unit.mutual_tls import mutual_tls

KEY = Ed25519PrivateKey.from_private_bytes(b"r" * 32)
LOG = Signer("mayfly.test/log", Ed25519PrivateKey.from_private_bytes(b"l" * 32))
ONE, TWO, THREE = ("1" * 32, "2" * 32, "3" * 32)


class Purge:
    """A log and metrics on a true ops port; what Redis has is a set."""

    def __init__(self, folder: Path, tls: MutualTls | None = None) -> None:
        registry = CollectorRegistry()
        self.granted = Counter("mayfly_leases_granted_total", ".", registry=registry)
        self.ended = Counter("mayfly_leases_ended_total", ".", ("outcome", "reason"), registry=registry)
        self.live = Gauge("mayfly_leases", ".", ("state",), registry=registry)
        self.held = Gauge("mayfly_custody_held", ".", ("service",), registry=registry)
        self.records: set[str] = set()
        self.log = Log.open(folder, origin=LOG.name, signer=LOG, clock=SystemClock())
        self.ledger = Ledger(self.log, KEY)
        self.ops = OpsServer("127.0.0.1:0", registry, Health(), tls)
        self.ops.mount("/log/", LogFiles("/log/", self.log.public_directory))
        keys = KeyList(LOG.name).signing(KEY.public_key(), LOG.key.public_key(), 0)
        self.ops.mount("/keys/", PublicKeys("/keys/", keys))

    async def grant(self, photo_id: str, *, record: bool = True) -> None:
        await self.ledger.admit(photo_id, 5.0)
        await self.log.integrate()
        self.granted.inc()
        self.live.labels("active").inc()
        if record:
            self.records.add(photo_id)

    async def end(self, photo_id: str) -> None:
        await self.ledger.issue(Receipt(photo_id, 5, "settled", "delivered"))
        await self.log.integrate()
        self.ended.labels("settled", "delivered").inc()
        self.live.labels("active").dec()
        self.records.discard(photo_id)


@pytest.fixture
async def purge(tmp_path: Path) -> AsyncIterator[Purge]:
    made = Purge(tmp_path / "log")
    await made.ops.start()
    yield made
    await made.ops.stop()
    await made.log.close()


@pytest.fixture
def reconciler(purge: Purge) -> History:
    return Reconciler([("purge", purge.ops.address)], lambda: set(purge.records), looks=3, hops=()).history()


async def _looks(reconciler: History, count: int) -> dict[str, frozenset[str]]:
    for _ in range(count):
        found = await asyncio.to_thread(reconciler.look)
    return found


async def test_leases_that_live_and_end_as_they_should_agree(purge: Purge, reconciler: History) -> None:
    await purge.grant(ONE)
    assert await _looks(reconciler, 3) == {}
    await purge.end(ONE)
    await purge.grant(TWO)
    assert await _looks(reconciler, 3) == {}


async def test_a_lease_that_redis_has_lost(purge: Purge, reconciler: History) -> None:
    await purge.grant(ONE)
    await purge.grant(TWO, record=False)
    assert await _looks(reconciler, 2) == {}
    assert await _looks(reconciler, 1) == {"log_without_redis": {TWO}}
    purge.records.add(TWO)
    assert await _looks(reconciler, 1) == {}


async def test_a_record_of_which_the_log_knows_nothing(purge: Purge, reconciler: History) -> None:
    purge.records.add(THREE)
    assert await _looks(reconciler, 3) == {"redis_without_log": {THREE}}


async def test_two_receipts(purge: Purge, reconciler: History) -> None:
    await purge.grant(ONE)
    await purge.end(ONE)
    await purge.end(ONE)
    assert (await _looks(reconciler, 3))["ended_twice"] == {ONE}


async def test_counters_that_forget_one(purge: Purge, reconciler: History) -> None:
    await purge.grant(ONE)
    purge.live.labels("active").dec()
    assert await _looks(reconciler, 3) == {"metrics": {"+1"}, "metrics_against_log": {"-1"}}


async def test_a_number_is_off_by_chance_while_photos_move(purge: Purge, reconciler: History) -> None:
    """The same in three looks, each time of other photos: it stands only if many looks are off, in one direction."""
    for number in range(11):
        purge.live.labels("active").inc(2 if number % 3 else 1)  # a lease whose grant is counted in a moment
        assert await _looks(reconciler, 1) == {}, number
        assert reconciler.is_undecided
        purge.live.labels("active").set(0)
        photo_id = f"{number:032x}"
        await purge.grant(photo_id)
        await purge.end(photo_id)
    purge.live.labels("active").inc(3)
    assert await _looks(reconciler, 1) == {"metrics": {"-1"}, "metrics_against_log": {"+1"}}, "the least of them"
    purge.live.labels("active").set(0)
    assert await _looks(reconciler, 1) == {}
    assert not reconciler.is_undecided


async def test_one_look_that_is_right_by_chance_proves_nothing(purge: Purge, reconciler: History) -> None:
    """A lease that is lost for good, and a photo on its way that hides it once."""
    for number in range(12):
        purge.live.labels("active").set(0 if number == 1 else 1)
        photo_id = f"{number:032x}"
        await purge.grant(photo_id)
        await purge.end(photo_id)
        assert reconciler.is_undecided, number
        await _looks(reconciler, 1)
    assert not reconciler.is_undecided, "as many looks as there are to be"


async def test_a_hop_that_holds_what_purge_does_not_know_of(purge: Purge) -> None:
    registry = CollectorRegistry()
    Gauge("mayfly_custody_photos", ".", ("service",), registry=registry).labels("ingest").set(2)
    purge.held.labels("ingest").set(1)
    hop = OpsServer("127.0.0.1:0", registry, Health())
    await hop.start()
    reconciler = Reconciler(
        [("purge", purge.ops.address), ("ingest", hop.address)], None, looks=3, hops=["ingest"]
    ).history()
    assert await _looks(reconciler, 3) == {"ingest": {"+1"}}
    await hop.stop()
    with pytest.raises(Uncounted, match="ingest"):
        await _looks(reconciler, 1)


def test_who_asks_nobody_can_not_say_that_all_agree() -> None:
    with pytest.raises(Uncounted, match="purge, gateway, ingest, render"):
        Reconciler([], None).compare()
    with pytest.raises(Uncounted, match="no metrics of purge"):
        Reconciler([("gateway", "127.0.0.1:1")], set, hops=["gateway"]).compare()


async def test_the_log_is_read_on_and_not_anew_and_never_backwards(purge: Purge) -> None:
    signed = Signed([purge.ops.address])
    for number in range(300):
        await purge.ledger.admit(f"{number:032x}", 5.0)
    await purge.log.integrate()
    await asyncio.to_thread(signed.read_on)
    assert (signed.granted, len(signed.open)) == (300, 300)
    await purge.end(f"{7:032x}")
    await asyncio.to_thread(signed.read_on)
    assert (signed.granted, signed.ended, len(signed.open)) == (300, 1, 299)


async def test_looks_of_another_pace_are_no_part_of_a_row(purge: Purge) -> None:
    """The schedule's looks see a difference that is there for a moment; the audit's, which began later, don't."""
    reconciler = Reconciler([("purge", purge.ops.address)], lambda: set(purge.records), hops=())
    scheduled, audits = reconciler.history(), reconciler.history()
    purge.records.add(THREE)
    assert await _looks(scheduled, 3) == {"redis_without_log": {THREE}}
    assert await _looks(audits, 2) == {}
    purge.records.clear()
    assert await _looks(audits, 1) == {}


async def test_two_threads_count_one_after_the_other(purge: Purge) -> None:
    alone = []

    def records() -> set[str]:
        alone.append(reconciler._lock.locked())
        return set(purge.records)

    reconciler = Reconciler([("purge", purge.ops.address)], records, hops=())
    for number in range(300):
        await purge.grant(f"{number:032x}")
    found = await asyncio.gather(*(asyncio.to_thread(reconciler.compare) for _ in range(4)))
    assert ([each.differences for each in found], alone) == ([{}] * 4, [True] * 4)


async def test_a_leaf_that_is_none_is_never_passed_over(purge: Purge) -> None:
    """However often it is looked at: nothing behind it is counted as if all before it were known."""
    await purge.grant(ONE)
    await purge.log.append(b'{"type":"receipt"}', Granted(TWO, 5))
    await purge.log.integrate()
    signed = Signed([purge.ops.address])
    for _ in range(2):
        with pytest.raises(Uncounted, match="can't be read"):
            await asyncio.to_thread(signed.read_on)
    assert (signed.granted, signed.open) == (0, set())


async def test_countings_by_mutual_tls(tmp_path: Path) -> None:
    purge = Purge(tmp_path / "log", mutual_tls(tmp_path, "purge"))
    await purge.ops.start()
    await purge.grant(ONE)

    def counted_by(ports: OpsPorts | None) -> Reconciler:
        address = SCHEME + purge.ops.address
        return Reconciler([("purge", address)], lambda: set(purge.records), hops=(), ports=ports)

    found = await asyncio.to_thread(counted_by(OpsPorts(mutual_tls(tmp_path, "auditor"))).compare)
    assert (found.differences, found.moved) == ({}, (1, 0))
    for nobody in (OpsPorts(mutual_tls(tmp_path, "gateway")), None):
        with pytest.raises(Uncounted, match="purge's metrics at"):
            await asyncio.to_thread(counted_by(nobody).compare)
    await purge.ops.stop()
    await purge.log.close()
