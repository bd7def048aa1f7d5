"""Several replicas of purge over one registry: redirects, adoption, and one receipt for each lease in all logs."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from clients.verify import recount
from mesh.errors import NotFound, Unavailable
from mesh.testing.valkey import ValkeyServer
from mesh.testing.wait import eventually
from services.purge import keys, presence
from services.purge.custody import Event
from services.purge.receipt import LoggedReceipt, Receipt, parse_entry
from services.purge.record import Grant
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
            shards = Shards([Shard(o, "", o) for o in others if o != name], self._look, _clock())
            self.running[name] = await stack.enter_async_context(desk(self.redis, log, name=name, shards=shards))

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
        from mesh.transparency.tiles import DirectoryReader, read_entries

        reader = DirectoryReader(self.directory / name / "public")
        size = int(reader.read("checkpoint").split(b"\n")[1])
        return [e for at in range(0, size, 256) for e in read_entries(reader, at // 256, min(256, size - at))]

    def _look(self, shard: Shard, photo_ids: Collection[str], since: float) -> set[str]:
        if shard.origin in self.away or not (self.directory / shard.origin).exists():
            if shard.origin in self.away:
                raise ConnectionRefusedError
            return set()
        return self.receipts(shard.origin).keys() & set(photo_ids)


def _clock() -> Any:
    from mesh.clock import SystemClock

    return SystemClock()


async def pause(core: Any) -> None:
    """Everything that runs by itself stands still."""
    for part in (core.presence, core.leadership, core.adoption, core.debts, core.reconcile, core.reaper,
                 core.attestation, core.endings, core.endings._expiry, core.custody.writer):  # fmt: skip
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


async def test_a_dead_replicas_lease_is_adopted_by_whoever_is_asked(mesh: Mesh) -> None:
    ingest = [await Holder(at(mesh, name), epoch="0" * 16).connect() for name in "ab"]
    grants = [await mesh.running["a"].grant() for _ in range(2)]
    for to in ingest:
        await to.report(*[Event(grant.photo_id, "H") for grant in grants])
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
    grants = [await mesh.running["a"].grant(ttl=ttl) for ttl in (2.0, 60.0, 60.0)]
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
