"""Several replicas of purge over one registry: redirects, adoption, and one receipt for each lease in all logs."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from clients.verify import recount
from mesh.clock import SystemClock
from mesh.errors import NotFound, Unavailable
from mesh.testing.valkey import ValkeyServer
from mesh.testing.wait import eventually
from mesh.transparency.tiles import DirectoryReader, read_entries
from services.purge import debts, keys, presence, shards
from services.purge.custody import Event
from services.purge.ledger import Logged
from services.purge.receipt import LoggedReceipt, Receipt, parse_entry
from services.purge.record import Grant
from services.purge.registry import Moved, Registry, Report
from services.purge.shards import Shard, Shards
from tests.unit.services.purge.desk import OWNER, Desk, Holder, desk


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


@dataclass
class Mesh:
    """The replicas that run, by name, and every log that there ever was."""

    redis: str
    directory: Path
    running: dict[str, Desk] = field(default_factory=dict)
    away: set[str] = field(default_factory=set)
    _stacks: dict[str, contextlib.AsyncExitStack] = field(default_factory=dict)

    async def start(self, *names: str, others: Collection[str] = ("a", "b", "c")) -> None:
        for name in names:
            stack = self._stacks[name] = contextlib.AsyncExitStack()
            log = self.directory / name
            logs = Shards([Shard(o, "", o) for o in others if o != name], self._look, SystemClock())
            self.running[name] = await stack.enter_async_context(desk(self.redis, log, name=name, shards=logs))

    async def stop(self, name: str) -> None:
        """As SIGTERM does."""
        del self.running[name]
        await self._stacks.pop(name).aclose()

    async def kill(self, name: str) -> None:
        """As SIGKILL does, apart from connections: nothing is said, nothing is finished."""
        core = self.running.pop(name).core
        self._stacks.pop(name).pop_all()
        await pause(core)
        await core.ledger.log.close()
        await core.link.close()

    async def stop_all(self) -> None:
        for name in list(self.running):
            await self.stop(name)

    def entries(self) -> list[bytes]:
        found: list[bytes] = []
        for name in sorted(path.name for path in self.directory.iterdir()):
            found += self._entries(name)
        return found

    def receipts(self, name: str) -> dict[str, Receipt]:
        parsed = [parse_entry(entry) for entry in self._entries(name)]
        receipts = [entry.receipt() for entry in parsed if isinstance(entry, LoggedReceipt)]
        return {receipt.photo_id: receipt for receipt in receipts}

    def conserved(self) -> None:
        """R6 over all logs, and over all replicas' metrics."""
        count = recount(self.entries())
        assert count.conserved, count.problems
        assert sum(map(_unaccounted, self.running.values())) == 0

    async def receipt_in(self, name: str, photo_id: str, within: float = 8.0) -> Receipt:
        return await eventually(lambda: self.receipts(name).get(photo_id), within=within, every=0.02)  # type: ignore[return-value]

    def _entries(self, name: str) -> list[bytes]:
        if name in self.running:
            return list(self.running[name].log.iterate())

        reader = DirectoryReader(self.directory / name / "public")
        size = int(reader.read("checkpoint").split(b"\n")[1])
        return [e for at in range(0, size, 256) for e in read_entries(reader, at // 256, min(256, size - at))]

    def _look(self, shard: Shard, photo_ids: Collection[str], since: float) -> set[str]:
        if shard.origin in self.away:
            raise ConnectionRefusedError
        if not (self.directory / shard.origin).exists():
            return set()
        return self.receipts(shard.origin).keys() & set(photo_ids)


async def pause(core: Any) -> None:
    """Everything that runs by itself stands still."""
    for part in (core.presence, core.leadership, core.adoption, core.debts, core.reconcile, core.reaper,
                 core.attestation, core.endings, core.endings._expiry, core.custody, core.custody.writer):  # fmt: skip
        await part._tasks.cancel()


def _unaccounted(one: Desk) -> float:
    """What mayfly:leases_unaccounted is for one replica; 0 at any time."""
    ended = sum(s.value for m in one.metrics.collect() for s in m.samples if s.name == "mayfly_leases_ended_total")
    live = sum(s.value for m in one.metrics.collect() for s in m.samples if s.name == "mayfly_leases")
    came = one.metric("mayfly_leases_granted_total") + one.metric("mayfly_leases_adopted_total")
    return came - one.metric("mayfly_leases_moved_total") - ended - live


@pytest.fixture
async def mesh(valkey: ValkeyServer, tmp_path: Path) -> AsyncIterator[Mesh]:
    made = Mesh(valkey.url, tmp_path)
    await made.start("a", "b")
    try:
        yield made
    finally:
        await made.stop_all()


def at(mesh: Mesh, name: str) -> Any:
    return mesh.running[name].core


async def steady(mesh: Mesh, name: str) -> None:
    """Until this replica trusts its own eyes."""
    await eventually(lambda: at(mesh, name).presence.dead(["nobody"]))


async def settle(core: Any, grant: Grant, holders: Collection[str] = ()) -> Receipt:
    """As the servicer does it."""
    call = core.routing.at_home(grant.photo_id, lambda: core.endings.settle(grant.photo_id, holders, "delivered"))
    return (await call).receipt  # type: ignore[no-any-return]


async def settled(core: Any, grant: Grant, holders: Collection[str] = (), within: float = 5.0) -> Receipt:
    """As the gateway does it: again, as long as the replica that keeps the lease counts as alive."""

    async def attempt() -> Receipt | None:
        with contextlib.suppress(Unavailable):
            return await settle(core, grant, holders)
        return None

    receipt = await eventually(attempt, within=within, every=0.05)
    assert receipt is not None
    return receipt


async def test_another_replicas_lease_is_named_never_ended(mesh: Mesh) -> None:
    grant = await mesh.running["a"].grant()
    with pytest.raises(Unavailable) as caught:
        await settle(at(mesh, "b"), grant)
    assert (caught.value.reason, caught.value.registry) == ("LEASE_ELSEWHERE", "a")
    with pytest.raises(Unavailable) as caught:
        await at(mesh, "b").routing.require(grant.photo_id)
    assert caught.value.registry == "a"
    revoked = await at(mesh, "b").revoke_owner(OWNER)
    assert (revoked.here, revoked.elsewhere) == ({}, {grant.photo_id: "a"})
    assert (await settle(at(mesh, "a"), grant)).outcome == "settled"
    with pytest.raises(Unavailable) as caught:
        await at(mesh, "b").receipt(grant.photo_id)
    assert caught.value.registry == "a", "who can prove it"
    with pytest.raises(NotFound):
        await settle(at(mesh, "b"), Grant("0" * 32, 0, 0, "", "", "", ""))
    mesh.conserved()


@pytest.mark.parametrize("home", ["", "a"], ids=["holders that don't know the home", "that know it"])
async def test_a_dead_replicas_lease_is_adopted_by_whoever_is_asked(
    mesh: Mesh, home: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = at(mesh, "b").registry
    written: list[Report] = []
    custody = registry.custody

    async def note(reports: Sequence[Report], *disowned: Any) -> Any:
        written.extend(reports)
        return await custody(reports, *disowned)

    monkeypatch.setattr(registry, "custody", note)
    ingest = [await Holder(at(mesh, name), epoch="0" * 16).connect() for name in "ab"]
    grants = [await mesh.running["a"].grant() for _ in range(2)]
    for to in ingest:
        await to.report(*[Event(grant.photo_id, "H", home=home) for grant in grants])
    assert bool(written) is not bool(home), "asked only what nobody knows"
    # What a is not told any more, b is.
    await ingest[1].report(Event(grants[0].photo_id, "R", 2_500_000))
    await mesh.kill("a")
    receipt = await settled(at(mesh, "b"), grants[0], [ingest[1].name])
    assert [(c.holder, c.state, c.seconds) for c in receipt.custody] == [("ingest", "released", 2.5)]
    settling = asyncio.create_task(settled(at(mesh, "b"), grants[1], [ingest[1].name]))
    await eventually(lambda: at(mesh, "b").endings.is_ending(grants[1].photo_id))
    await ingest[1].report(Event(grants[1].photo_id, "R", 1_000_000))
    assert [(c.state, c.seconds) for c in (await settling).custody] == [("released", 1.0)]
    assert mesh.running["b"].metric("mayfly_leases_adopted_total") == 2
    mesh.conserved()
    await mesh.start("a")
    assert mesh.receipts("a") == {}
    assert mesh.running["a"].metric("mayfly_leases_moved_total") == 2
    assert recount(mesh.entries()).open == []
    mesh.conserved()


async def test_the_leader_adopts_what_nobody_asks_for(mesh: Mesh) -> None:
    # More than there are shards, so that the soonest of each shard aren't all.
    grants = await asyncio.gather(*[mesh.running["a"].grant(ttl=ttl) for ttl in (2.0, *[60.0] * 300)])
    await mesh.kill("a")
    book = at(mesh, "b").book
    assert (await mesh.receipt_in("b", grants[0].photo_id)).outcome == "expired"
    await eventually(lambda: all(book.get(grant.photo_id) for grant in grants[1:]), within=8)
    mesh.conserved()


async def test_a_clean_stop_hands_over_at_once(mesh: Mesh, admin: Any) -> None:
    grant = await mesh.running["a"].grant()
    await steady(mesh, "b")
    await mesh.stop("a")
    assert not admin.exists(keys.replica("a"))
    assert (await settle(at(mesh, "b"), grant)).outcome == "settled"
    await mesh.start("a")
    assert at(mesh, "a").book.get(grant.photo_id) is None
    mesh.conserved()


async def test_redis_is_lost_while_a_replica_is_dead(mesh: Mesh, admin: Any) -> None:
    """Its leases are known to its log alone; one of them another replica has ended, which only that one's log says."""
    adopted, orphan = [await mesh.running["a"].grant() for _ in range(2)]
    await mesh.kill("a")
    assert (await settled(at(mesh, "b"), adopted)).outcome == "settled"
    admin.flushall()
    await at(mesh, "b").registry.start()
    mesh.away = {"b"}
    await mesh.start("a")
    book = at(mesh, "a").book
    await eventually(lambda: mesh.running["a"].metric("mayfly_receipts_unlogged") == 2, within=3)
    assert book.get(adopted.photo_id) is not None, "nobody can tell"
    assert mesh.receipts("a") == {}
    mesh.away = set()
    receipt = await mesh.receipt_in("a", orphan.photo_id)
    assert (receipt.outcome, receipt.reason) == ("revoked", "registry_lost")
    await eventually(lambda: book.get(adopted.photo_id) is None)
    assert mesh.receipts("a").keys() == {orphan.photo_id}
    assert recount(mesh.entries()).open == []
    mesh.conserved()


async def test_a_replica_that_slept_writes_no_second_receipt(mesh: Mesh) -> None:
    """It wakes up in the middle of an end, which another replica has finished meanwhile."""
    ingest = await Holder(at(mesh, "a"), epoch="0" * 16).connect()
    await Holder(at(mesh, "b"), epoch="0" * 16).connect()
    grants = [await mesh.running["a"].grant() for _ in range(3)]
    await ingest.hold(grants[0].photo_id)
    sleeper = at(mesh, "a")
    ending = asyncio.create_task(sleeper.endings.revoke(grants[0].photo_id, "requested"))
    await eventually(lambda: sleeper.book.get(grants[0].photo_id).lease.state == "ending")
    await sleeper.presence._tasks.cancel()
    await eventually(lambda: at(mesh, "b").presence.dead(["a"]))
    for grant in grants[:2]:
        assert await at(mesh, "b").routing.elsewhere(grant.photo_id) is None
    assert (await settled(at(mesh, "b"), grants[1])).outcome == "settled"
    # Awake again: it still believes that all three are its own.
    await ingest.report(Event(grants[0].photo_id, "R", 1))
    with pytest.raises(Moved):
        await ending
    with pytest.raises((Moved, NotFound)):
        await sleeper.endings.settle(grants[1].photo_id, [], "delivered")
    assert (await settle(sleeper, grants[2])).outcome == "settled", "this one is"
    await sleeper.presence.start()
    assert mesh.receipts("a").keys() == {grants[2].photo_id}
    mesh.conserved()


@pytest.mark.parametrize("kept", [(), (b"replica", b"leader", b"term")], ids=["all", "one server of several"])
async def test_after_a_flush_every_open_lease_ends_and_new_ones_are_granted(
    mesh: Mesh, admin: Any, kept: tuple[bytes, ...]
) -> None:
    delivered = await mesh.running["a"].grant()
    receipt = await settle(at(mesh, "a"), delivered)
    grants = [await mesh.running["ab"[n % 2]].grant() for n in range(200)]
    admin.delete(*[key for key in admin.scan_iter(count=1000) if not key.startswith(kept or b"-")])
    assert (await at(mesh, "a").receipt(delivered.photo_id)).receipt == receipt, "from the log"
    await eventually(
        lambda: mesh.receipts("a").keys() | mesh.receipts("b").keys() == {g.photo_id for g in [*grants, delivered]},
        within=30,
        every=0.1,
    )
    assert {mesh.receipts("ab"[n % 2])[g.photo_id].reason for n, g in enumerate(grants)} == {"registry_lost"}

    async def granted() -> Grant | None:
        with contextlib.suppress(Unavailable):
            return await mesh.running["a"].grant()
        return None

    assert await eventually(granted, within=5)
    mesh.conserved()


async def test_a_failover_brings_back_an_ended_lease(mesh: Mesh, admin: Any) -> None:
    grant = await mesh.running["a"].grant()
    name = keys.of_photo(grant.photo_id).lease
    before = admin.hgetall(name)
    assert (await settle(at(mesh, "a"), grant)).outcome == "settled"
    admin.hset(name, mapping=before)
    admin.pexpire(name, 30_000)
    admin.delete(keys.of_photo(grant.photo_id).receipt)
    await at(mesh, "a").reconcile.after_change()
    assert not admin.exists(name)
    assert admin.exists(keys.of_photo(grant.photo_id).receipt)
    # Its home dies before it has seen it: who adopts the lease asks the home's log first.
    admin.hset(name, mapping=before)
    admin.pexpire(name, 30_000)
    admin.delete(keys.of_photo(grant.photo_id).receipt)
    await mesh.kill("a")
    await at(mesh, "b").reconcile.after_change()
    settling = asyncio.create_task(settled(at(mesh, "b"), grant, within=8))
    await eventually(lambda: not admin.exists(name), within=8)
    settling.cancel()
    assert mesh.receipts("b") == {}
    mesh.conserved()


async def test_what_was_moved_is_taken_back_when_nobody_knows_of_it(mesh: Mesh, admin: Any) -> None:
    grant = await mesh.running["a"].grant(ttl=1.0)
    sleeper = at(mesh, "a")
    admin.hset(keys.of_photo(grant.photo_id).lease, "home", "c")
    await sleeper.reconcile._missing(list(sleeper.book))
    assert (len(sleeper.debts), len(sleeper.book)) == (1, 0)
    admin.delete(keys.of_photo(grant.photo_id).lease)
    receipt = await mesh.receipt_in("a", grant.photo_id, within=20)
    assert (receipt.outcome, len(sleeper.debts)) == ("expired", 0)
    mesh.conserved()


async def test_an_earlier_leader_is_refused(registry: Registry, mesh: Mesh) -> None:
    grant = await mesh.running["a"].grant()
    old = at(mesh, "a").leadership.term
    assert at(mesh, "a").leadership.leads
    assert not at(mesh, "b").leadership.leads
    await mesh.stop("a")
    await eventually(lambda: at(mesh, "b").leadership.leads, within=3)
    assert at(mesh, "b").leadership.term > old
    await eventually(lambda: at(mesh, "b").book.get(grant.photo_id), within=8)
    with pytest.raises(Moved):
        await registry.adopt(grant.photo_id, "b", old)
    assert mesh.running["b"].metric("mayfly_reaper_leader") == 1


async def test_a_leader_that_cannot_renew_steps_down_by_its_own_clock(mesh: Mesh) -> None:
    leader = at(mesh, "a").leadership
    await leader._tasks.cancel()
    await eventually(lambda: not leader.leads, within=4)
    await eventually(lambda: at(mesh, "b").leadership.leads, within=4)


async def test_an_adoption_whose_answer_was_lost_is_noticed(mesh: Mesh) -> None:
    asked, unasked = [await mesh.running["a"].grant(ttl=ttl) for ttl in (30.0, 2.0)]
    await mesh.kill("a")
    for grant in (asked, unasked):
        assert await at(mesh, "b").registry.adopt(grant.photo_id, "a", at(mesh, "b").leadership.term)
        assert at(mesh, "b").book.get(grant.photo_id) is None
    assert (await settle(at(mesh, "b"), asked)).outcome == "settled"
    assert (await mesh.receipt_in("b", unasked.photo_id)).outcome == "expired"
    mesh.conserved()


async def test_a_grant_that_arrives_after_the_end_of_its_lease_changes_nothing(mesh: Mesh, admin: Any) -> None:
    grant = await mesh.running["a"].grant()
    await settle(at(mesh, "a"), grant)
    reply, _ = await at(mesh, "a").registry.grant(grant, "2026-11-23")
    assert reply == "EXISTS"
    assert not admin.exists(keys.of_photo(grant.photo_id).lease)


async def test_a_log_is_looked_at_twice_and_questions_share_a_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was decided just before the first look may not be integrated yet."""
    monkeypatch.setattr(shards, "_SETTLE", 0.05)
    looks: list[set[str]] = []

    def look(shard: Shard, photo_ids: Collection[str], since: float) -> set[str]:
        looks.append(set(photo_ids))
        if len(looks) == 4:
            raise ConnectionRefusedError
        return {"early"} if len(looks) == 1 else {"late"} if len(looks) == 2 else set()

    one = Shards([Shard("b", "", "")], look, SystemClock())
    answers = await asyncio.gather(*[one.ended(name, 0.0) for name in ("early", "late", "never")])
    assert answers == [True, True, False]
    assert looks == [{"early", "late", "never"}, {"late", "never"}]
    with pytest.raises(Unavailable):
        await one.ended("unknown", 0.0)


class Held:
    """Makes a replica sleep right before one of its steps: as SIGSTOP does, at the worst moment."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, part: Any, step: str) -> None:
        self.reached, self.go = asyncio.Event(), asyncio.Event()
        original = getattr(part, step)

        async def held(*args: Any, **named: Any) -> Any:
            self.reached.set()
            await self.go.wait()
            return await original(*args, **named)

        monkeypatch.setattr(part, step, held)


async def test_asleep_between_its_look_and_its_receipt(mesh: Mesh, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was sure a moment ago that the lease is its own, and has signed the receipt."""
    grant = await mesh.running["a"].grant()
    sleeper = at(mesh, "a")
    asleep = Held(monkeypatch, sleeper.registry, "commit")
    ending = asyncio.create_task(sleeper.endings.revoke(grant.photo_id, "requested"))
    await asleep.reached.wait()
    await sleeper.presence._tasks.cancel()
    await eventually(lambda: at(mesh, "b").presence.dead(["a"]))
    assert await at(mesh, "b").routing.elsewhere(grant.photo_id) is None
    asleep.go.set()
    with pytest.raises(Moved):
        await ending
    receipt = await mesh.receipt_in("b", grant.photo_id)
    assert (receipt.outcome, receipt.reason) == ("revoked", "requested"), "what the sleeper had decided"
    assert mesh.receipts("a") == {}
    mesh.conserved()


async def test_dead_between_its_commit_and_its_log(mesh: Mesh, monkeypatch: pytest.MonkeyPatch, admin: Any) -> None:
    """The receipt is in the registry alone. Nobody else ends the lease; whoever comes back logs exactly that one."""
    grant = await mesh.running["a"].grant()
    asleep = Held(monkeypatch, at(mesh, "a").ledger, "record_all")
    ending = asyncio.create_task(at(mesh, "a").endings.revoke(grant.photo_id, "requested"))
    await asleep.reached.wait()
    stored = admin.get(keys.of_photo(grant.photo_id).receipt)
    ending.cancel()
    await mesh.kill("a")
    monkeypatch.undo()
    await eventually(lambda: at(mesh, "b").presence.dead(["a"]))
    with pytest.raises(NotFound):
        await at(mesh, "b").routing.at_home(grant.photo_id, lambda: at(mesh, "b").endings.revoke(grant.photo_id, "x"))
    await mesh.start("a")
    assert mesh.receipts("a")[grant.photo_id] == Logged.from_bytes(stored).receipt
    assert mesh.receipts("b") == {}
    mesh.conserved()
