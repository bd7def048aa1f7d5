"""Several replicas of purge over one registry, and all their logs."""

from __future__ import annotations

import contextlib
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from clients.verify import recount
from mesh.clock import SystemClock
from mesh.errors import Unavailable
from mesh.testing.wait import eventually
from mesh.transparency.tiles import DirectoryReader, read_entries
from services.purge.receipt import LoggedReceipt, Receipt, parse_entry
from services.purge.record import Grant
from services.purge.shards import Shard, Shards
from tests.unit.services.purge.desk import Desk, desk


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
