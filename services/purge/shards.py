"""The log shards of the other replicas: where a receipt may be that this replica is asked for.

Needed only in doubt: when this replica was out of sight, and the registry has lost what happened meanwhile.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from mesh.clock import Clock
from mesh.errors import ConfigError, Unavailable
from mesh.log import get_logger
from mesh.ops_ports import SCHEME, OpsPorts, names_port
from mesh.transparency.errors import VerificationError
from mesh.transparency.http_reader import HttpReader
from mesh.transparency.note import Verifier
from services.purge.lookup import ended_in

_GATHER = 0.1  # seconds in which questions share a look
_SETTLE = 2.0  # seconds between two looks: what a replica had decided before the first is in its log by the second
_LONGEST = 900.0  # seconds, more than any lease
_log = get_logger()


@dataclass(frozen=True, slots=True)
class Shard:
    """Another replica's log. vkey: verifies its checkpoints. url: where its checkpoint and tiles are, no slash at the
    end."""

    origin: str
    vkey: str
    url: str


class Look(Protocol):
    """Looks into one log."""

    def __call__(self, shard: Shard, photo_ids: Collection[str], since: float) -> Collection[str]:
        """Those that have a receipt there, of those that were logged after ``since`` (Unix seconds). Blocks.

        Raises OSError, MeshError, VerificationError.
        """


class Shards:
    """False in a condition if there are none."""

    def __init__(self, shards: Sequence[Shard], look: Look, clock: Clock) -> None:
        self._shards = tuple(shards)
        self._look = look
        self._clock = clock
        self._asked: dict[str, float] = {}
        self._next: asyncio.Task[set[str]] | None = None

    def __bool__(self) -> bool:
        return bool(self._shards)

    async def ended(self, photo_id: str, expire: float) -> bool:
        """Whether one of the logs has this photo's receipt. Raises Unavailable unless all of them could be read.

        expire: when its lease ends, Unix seconds.
        """
        self._asked[photo_id] = expire
        if self._next is None:
            self._next = asyncio.create_task(self._answer())
        return photo_id in await asyncio.shield(self._next)

    async def _answer(self) -> set[str]:
        """Twice: a receipt that was decided just before the first look may not have been integrated then."""
        await self._clock.sleep(_GATHER)
        asked, self._asked, self._next = self._asked, {}, None
        photo_ids, since = set(asked), min(asked.values()) - _LONGEST
        found = await self._look_into_all(photo_ids, since)
        if found >= photo_ids:
            return found
        await self._clock.sleep(_SETTLE)
        return found | await self._look_into_all(photo_ids - found, since)

    async def _look_into_all(self, photo_ids: set[str], since: float) -> set[str]:
        looks = [asyncio.to_thread(self._look, shard, photo_ids, since) for shard in self._shards]
        found: set[str] = set()
        failed = 0
        for result in await asyncio.gather(*looks, return_exceptions=True):
            if isinstance(result, BaseException):
                failed += 1
            else:
                found.update(result)
        if failed and not found >= photo_ids:
            _log.error("shard_away", count=failed)
            raise Unavailable("SHARD_UNAVAILABLE", "Another replica's log can't be read; try again.", retry_after=1)
        return found


def ended_in_shard(
    shard: Shard, photo_ids: Collection[str], since: float, ports: OpsPorts | None = None
) -> Collection[str]:
    """A ``Look`` over HTTP. ports: for URLs of ops ports that want mutual TLS."""
    if shard.url.startswith(SCHEME):
        reader = (ports or OpsPorts()).reader(shard.url, "purge", seconds=2.0, attempts=1)
    else:
        reader = HttpReader(shard.url, seconds=2.0, attempts=1)
    return ended_in(reader, [Verifier.parse(shard.vkey)], photo_ids, since)


def load(path: Path) -> tuple[Shard, ...]:
    """From a JSON list of {"origin", "vkey", "url"}. Raises ConfigError in one line."""
    try:
        listed = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        raise ConfigError("MAYFLY_PURGE_SHARDS_FILE: is no JSON file") from None
    if not isinstance(listed, list):
        raise ConfigError("MAYFLY_PURGE_SHARDS_FILE: must be a list")
    shards = tuple(_shard(number, item) for number, item in enumerate(listed, 1))
    if len({shard.origin for shard in shards}) < len(shards):
        raise ConfigError("MAYFLY_PURGE_SHARDS_FILE: names an origin twice")
    return shards


def _shard(number: int, item: object) -> Shard:
    where = f"MAYFLY_PURGE_SHARDS_FILE: entry {number}"
    if not isinstance(item, dict) or set(item) != {"origin", "vkey", "url"}:
        raise ConfigError(f"{where} must have origin, vkey and url, and nothing else")
    shard = Shard(str(item["origin"]), str(item["vkey"]), str(item["url"]).rstrip("/"))
    try:
        name = Verifier.parse(shard.vkey).name
    except VerificationError:
        raise ConfigError(f"{where}: vkey is no verifier key") from None
    if name != shard.origin:
        raise ConfigError(f"{where}: vkey is not the one of its origin")
    if (scheme := _scheme(shard.url)) not in ("http", "https", "mtls"):
        raise ConfigError(f"{where}: url must begin with http://, https:// or mtls://, and name a host")
    if not names_port(shard.url, needed=scheme == "mtls"):
        raise ConfigError(f"{where}: mtls:// needs a port, and a port is from 1 to 65535")
    return shard


def _scheme(url: str) -> str:
    """Empty if the URL names no host."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    return parts.scheme if parts.hostname else ""
