"""Attestation: whether the registry's Redis may be used now. No lease is granted before the first look, nor while
any violation stands."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from mesh.clock import Clock
from mesh.errors import Unavailable
from mesh.log import get_logger
from mesh.tasks import Tasks
from services.purge import keys
from services.purge.facts import FACTS, Server, unseen, violations
from services.purge.link import Link
from services.purge.refusal import BARRED

EVERY = 1.0  # seconds between looks; what is turned on at run time is noticed within two
_PAGE = 500  # keys a look
_SETTINGS = ("save", "appendonly", "maxmemory-policy")
_SECTIONS = ("server", "memory", "persistence", "keyspace")
_log = get_logger()


@dataclass(slots=True)
class _Scan:
    """One pass over all keys, a page at a look. cursor 0: the next page begins a new pass."""

    cursor: int = 0
    unknown: int = 0
    endless: int = 0
    last: tuple[int, int] = field(default=(0, 0))

    def add(self, cursor: int, unknown: int, endless: int) -> None:
        self.unknown, self.endless, self.cursor = self.unknown + unknown, self.endless + endless, cursor
        if cursor == 0:
            self.last, self.unknown, self.endless = (self.unknown, self.endless), 0, 0

    def standing(self) -> tuple[int, int]:
        """Keys of unknown shape and keys without TTL, by the pass under way or by the last whole one."""
        return max(self.unknown, self.last[0]), max(self.endless, self.last[1])


class Attestation:
    """A component. ``violations``: fact → sentence; ``unseen``: facts that this server does not show.

    quarantine: seconds for which a snapshot that was written counts as a violation: until every lease that it may
    contain has ended.
    """

    def __init__(self, link: Link, clock: Clock, quarantine: float) -> None:
        self._link = link
        self._clock = clock
        self._quarantine = quarantine
        self._tasks = Tasks()
        self._scan = _Scan()
        self._saved: tuple[str, tuple[int, int]] | None = None
        self._snapshot_until = float("-inf")
        self.violations: dict[str, str] = {"unattested": "its Redis has not been attested yet; try again"}
        self.unseen: tuple[str, ...] = ()
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

    async def start(self) -> None:
        await self._look_safely()
        self._tasks.spawn(self._keep_looking())

    async def stop(self) -> None:
        await self._tasks.cancel()

    async def look(self) -> None:
        """Attests once. Raises Unavailable."""
        server = await self._link.run(_server)
        self._scan.add(*await self._link.run(self._page))
        found = violations(server) | dict(self._snapshot(server)) | dict(self._keys(server))
        self.unseen = unseen(server)
        for fact in found.keys() - self.violations.keys():
            _log.error("registry_violation", fact=fact)
        self.violations = {fact: found[fact] for fact in FACTS if fact in found}

    async def _keep_looking(self) -> None:
        while True:
            await self._clock.sleep(EVERY)
            await self._look_safely()

    async def _look_safely(self) -> None:
        try:
            await self.look()
        except Unavailable:
            # What can't be seen may have changed: whoever restarts it may have turned anything on.
            self.violations = {"unattested": "its Redis could not be attested; try again"}

    def _snapshot(self, server: Server) -> Iterator[tuple[str, str]]:
        """A save since the first look at this server: what was in it is on a disk now."""
        now = self._clock.monotonic()
        known, self._saved = self._saved, (server.run_id, server.saves)
        if known is not None and known[0] == server.run_id and known[1] != server.saves:
            self._snapshot_until = now + self._quarantine
        if now < self._snapshot_until:
            left = round(self._snapshot_until - now)
            yield "snapshot", f"a snapshot was written: INFO 'rdb_last_save_time' moved; delete it, and wait {left} s"

    def _keys(self, server: Server) -> Iterator[tuple[str, str]]:
        unknown, endless = self._scan.standing()
        self.keys, self.keys_without_ttl = server.keys, max(server.keys - server.keys_with_ttl, endless)
        if unknown:
            yield "unknown_keys", f"{unknown} keys are not Mayfly's; give it a Redis of its own"
        if endless:
            yield "keys_without_ttl", f"{self.keys_without_ttl} keys have no TTL; find who writes them"

    async def _page(self, redis: Any) -> tuple[int, int, int]:
        cursor, names = await redis.scan(self._scan.cursor, count=_PAGE)
        ours = [name for name in names if keys.is_ours(name)]
        async with redis.pipeline(transaction=False) as pipe:
            for name in ours:
                pipe.pttl(name)
            ttls = await pipe.execute() if ours else []
        return int(cursor), len(names) - len(ours), ttls.count(-1)


async def _server(redis: Any) -> Server:
    config: dict[str, str] | None
    try:
        config = await redis.config_get(*_SETTINGS)
    except BARRED:
        config = None  # managed servers bar it
    info: dict[str, Any] = {}
    for section in _SECTIONS:
        info |= await redis.info(section)
    spaces = [value for name, value in info.items() if name.startswith("db") and isinstance(value, dict)]
    return Server(config, info, sum(s["keys"] for s in spaces), sum(s["expires"] for s in spaces))
