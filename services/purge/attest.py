"""Attestation: whether the registry's Redis may be used now. No lease is granted before the first look, nor while
any violation stands, nor between a loss of what Redis held and the reconciliation of purge's leases with it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from mesh.clock import Clock
from mesh.errors import Unavailable
from mesh.log import error_at, get_logger
from mesh.tasks import Tasks
from services.purge import keys
from services.purge.address import Host, is_loopback
from services.purge.facts import FACTS, UNSEEN, Findings, Replica, Seen, judge_primary, judge_replica
from services.purge.keyspace import Scan, ceilings
from services.purge.link import Ask, Link
from services.purge.look import Primary, at_primary, at_replica
from services.purge.topology import Server

EVERY = 1.0  # seconds between looks; what is turned on at run time is noticed within two
_CHANGED = "its Redis was flushed, restarted or failed over; its leases are being reconciled"
_KEYSPACE = {
    "unknown_keys": "{} keys are not Mayfly's; give it a Redis of its own",
    "keys_without_ttl": "{} keys have no TTL; find who writes them",
    "long_ttl": "{} keys outlive what they are for: their TTL is beyond their kind's; find who writes them",
    "parked_plaintext": "{} parked values are not ciphertext; find who writes them",
}
_log = get_logger()


class Attestation:
    """A component. ``violations``: fact → sentence; ``unseen``: facts that this server does not show.

    quarantine: seconds for which a snapshot that was written counts as a violation: until every lease that it may
    contain has ended. It is the longest lease, too.
    """

    def __init__(self, link: Link, clock: Clock, quarantine: float) -> None:
        self._link = link
        self._clock = clock
        self._quarantine = quarantine
        self._ceilings = ceilings(quarantine)
        self._tasks = Tasks()
        self._scans: dict[str, Scan] = {}
        self._saved: dict[str, tuple[int, int]] = {}
        self._snapshot_until = float("-inf")
        self._marks: Mapping[str, bytes] | None = None
        self._missed = False
        self.on_changed: list[Callable[[], Awaitable[None]]] = []
        """Awaited, in order, after what Redis held may be gone and before it counts as safe again. What is raised is
        logged, and all of them are called again a look later."""
        self.violations: dict[str, str] = {"unattested": "its Redis has not been attested yet; try again"}
        self.unseen: tuple[str, ...] = ()
        self.changes = 0
        self.keys = 0
        self.keys_without_ttl = 0

    @property
    def safe(self) -> bool:
        return not self.violations and self._link.up

    def require_safe(self) -> None:
        """Raises Unavailable: REGISTRY_UNAVAILABLE, or REGISTRY_UNSAFE with each setting that is wrong."""
        if not self._link.up:
            raise Unavailable("REGISTRY_UNAVAILABLE", "The registry's Redis is away; try again.", retry_after=1)
        if self.violations:
            sentences = "; ".join(self.violations.values())
            raise Unavailable("REGISTRY_UNSAFE", f"The registry must not be used: {sentences}.", retry_after=EVERY)

    def page(self) -> dict[str, object]:
        """For people: why it isn't safe, and what could not be seen."""
        return {"violations": dict(self.violations), "unseen": list(self.unseen)}

    async def start(self) -> None:
        await self._look_safely()
        self._tasks.spawn(self._keep_looking())

    async def stop(self) -> None:
        await self._tasks.cancel()

    async def look(self) -> None:
        """Attests once. Raises Unavailable."""
        primaries = await self._link.primaries()
        shards = self._shards()
        looks = [self._look_at(server, ask, shards.get(server.name)) for server, ask in primaries]
        seen = await _all(looks)
        found = _together([judged for _, judged in seen])
        found.violations |= dict(self._keyspace([primary.seen for primary, _ in seen], {s.name for s, _ in primaries}))
        self.unseen = tuple(fact for fact in UNSEEN if fact in found.unseen)
        if "role" in found.violations:
            self._link.suspect()
        marks = {server.name: primary.mark for (server, _), (primary, _) in zip(primaries, seen, strict=True)}
        if not await self._is_reconciled(marks, found):
            found.violations["changed"] = _CHANGED
        self._publish(found)

    async def _keep_looking(self) -> None:
        while True:
            await self._clock.sleep(EVERY)
            await self._look_safely()

    async def _look_safely(self) -> None:
        try:
            await self.look()
        except Exception as error:
            # What can't be seen may have changed: whoever restarts it may have turned anything on.
            self._missed = True
            if not isinstance(error, Unavailable):
                _log.error("attestation_failed", error_type=type(error).__name__, error_at=error_at(error))
            self.violations = {"unattested": "its Redis could not be attested; try again"}

    async def _look_at(self, server: Server, ask: Ask, shard: int | None) -> tuple[Primary, Findings]:
        primary = await at_primary(ask, shard)
        found = judge_primary(primary.seen)
        self._note_saves(primary.seen)
        if not server.private:
            found.violations["transport"] = "the connection is neither TLS, nor a socket, nor loopback: use rediss://"
        replicas = [self._look_at_replica(replica) for replica in primary.seen.replicas()]
        scan = self._scans.setdefault(server.name, Scan())
        *judged, _ = await _all([*replicas, scan.page(ask, self._ceilings)])
        found.unseen |= scan.unseen
        return primary, _together([found, *[j for j in judged if isinstance(j, Findings)]])

    async def _look_at_replica(self, replica: Replica) -> Findings:
        try:
            seen = await at_replica(self._link.replica(Host(replica.host, replica.port)))
        except Unavailable:
            return Findings(unseen={"replicas"})
        self._note_saves(seen)
        return judge_replica(seen, is_loopback(replica.host))

    def _shards(self) -> dict[str, int]:
        """The first shard of each server: its marker stands for all that the server has."""
        shards: dict[str, int] = {}
        for shard in range(keys.SHARDS):
            shards.setdefault(self._link.owner_of(keys.marker(shard)), shard)
        return shards

    def _note_saves(self, seen: Seen) -> None:
        """A save since the first look at this server: what was in it is on a disk now."""
        known = self._saved.get(seen.run_id)
        self._saved[seen.run_id] = seen.saves
        if known is not None and known != seen.saves:
            self._snapshot_until = self._clock.monotonic() + self._quarantine

    def _keyspace(self, servers: list[Seen], names: set[str]) -> dict[str, str]:
        self._scans = {name: scan for name, scan in self._scans.items() if name in names}
        standing: Counter[str] = Counter()
        for scan in self._scans.values():
            standing += scan.standing()
        self.keys = sum(seen.keys[0] for seen in servers)
        without = sum(seen.keys[0] - seen.keys[1] for seen in servers)
        self.keys_without_ttl = standing["keys_without_ttl"] = max(without, standing["keys_without_ttl"])
        found = {fact: sentence.format(standing[fact]) for fact, sentence in _KEYSPACE.items() if standing[fact]}
        left = self._snapshot_until - self._clock.monotonic()
        if left > 0:
            found["snapshot"] = (
                f"a snapshot was written: INFO 'rdb_last_save_time' moved; delete it, and wait {round(left)} s"
            )
        return found

    async def _is_reconciled(self, marks: Mapping[str, bytes], found: Findings) -> bool:
        """Whether nothing was lost since the last look, or everybody who must know has dealt with it."""
        known, first = self._marks, self._marks is None and not self._missed
        if not first and marks != known:
            self.changes += 1
            self._publish(Findings(found.violations | {"changed": _CHANGED}))
            try:
                for reconcile in self.on_changed:
                    await reconcile()
            except Exception as error:
                _log.error("reconciliation_failed", error_type=type(error).__name__, error_at=error_at(error))
                return False
        self._marks = marks
        return True

    def _publish(self, found: Findings) -> None:
        for fact in found.violations.keys() - self.violations.keys():
            _log.error("registry_violation", fact=fact)
        self.violations = {fact: found.violations[fact] for fact in FACTS if fact in found.violations}


async def _all(looks: Sequence[Awaitable[Any]]) -> list[Any]:
    """All results, or the first error once all are over: none is left behind, none is cancelled."""
    results = await asyncio.gather(*looks, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return results


def _together(several: list[Findings]) -> Findings:
    """The first sentence of each fact; how many servers it is true of is for the log of each."""
    whole = Findings()
    for found in several:
        whole.violations = found.violations | whole.violations
        whole.unseen |= found.unseen
    return whole
