"""Every key of the registry's Redis: dumped, searched, and asked for its TTL."""

from __future__ import annotations

import asyncio

from mesh.errors import Unavailable
from services.purge.address import RedisAddress
from services.purge.auditor.places import contents
from services.purge.auditor.places.found import VALKEY, Found, Hunted, Searched
from services.purge.keys import is_photo_id
from services.purge.link import Ask, Link
from services.purge.wire import pack

_PAGE = 500  # keys at a time
_KEPT = b"receipt:"  # the one kind of key that outlives its photo


class Registry:
    """Reads only. Each call opens connections of its own, so it may come from any thread."""

    where = "redis"

    def __init__(self, address: RedisAddress) -> None:
        self._address = address

    def search(self, hunted: Hunted) -> list[Searched]:
        return [asyncio.run(self._search(hunted))]

    def leases(self) -> set[str]:
        """photo_ids that have a record. Raises Unavailable."""
        return {name.rpartition(b":")[2].decode("ascii", "replace") for name in asyncio.run(self._named(b"lease:*"))}

    async def parked(self, photo_id: str) -> bytes:
        """A dump of the photo's parked ciphertext; empty while there is none. Raises Unavailable."""
        link = Link(self._address)
        try:
            for _, ask in await link.primaries():
                for name in await _scan(ask, f"parked:*:{photo_id}".encode()):
                    dump, _ = await _read(ask, name)
                    return dump
            return b""
        finally:
            await link.close()

    async def _named(self, pattern: bytes) -> list[bytes]:
        link = Link(self._address)
        try:
            return [name for _, ask in await link.primaries() for name in await _scan(ask, pattern)]
        finally:
            await link.close()

    async def _search(self, hunted: Hunted) -> Searched:
        searched, link = Searched(self.where), Link(self._address)
        try:
            for _, ask in await link.primaries():
                for name in await _scan(ask, b"*"):
                    dump, ttl = await _read(ask, name)
                    searched.bytes += len(name) + len(dump)
                    searched.add(_judged(name, dump, ttl, hunted))
        except Unavailable as error:
            searched.failed.append(f"Redis can't be searched ({error.reason})")
        finally:
            await link.close()
        return searched


async def _scan(ask: Ask, pattern: bytes) -> list[bytes]:
    names, cursor = list[bytes](), 0
    while True:
        (reply,) = await ask([pack("SCAN", cursor, "MATCH", pattern, "COUNT", _PAGE)])
        if isinstance(reply, Exception):
            raise Unavailable("REGISTRY_UNREADABLE", "The registry does not let the auditor read it.") from reply
        cursor, page = int(reply[0]), reply[1]
        names += page
        if cursor == 0:
            return list(dict.fromkeys(names))


async def _read(ask: Ask, name: bytes) -> tuple[bytes, int]:
    """The dump, empty if the key has gone meanwhile, and milliseconds to live (PTTL: -1 none, -2 gone)."""
    dump, ttl = await ask([pack("DUMP", name), pack("PTTL", name)])
    for reply in (dump, ttl):
        if isinstance(reply, Exception):
            raise Unavailable("REGISTRY_UNREADABLE", "The registry does not let the auditor read it.") from reply
    return dump or b"", int(ttl)


def _judged(name: bytes, dump: bytes, ttl: int, hunted: Hunted) -> list[Found]:
    shown = name.decode("ascii", "replace")
    found = [
        Found(VALKEY, Registry.where, what, count, shown)
        for what, count in contents.search_bytes(name + b"\n" + dump, hunted).items()
    ]
    if dump and ttl == -1:
        found.append(Found(VALKEY, Registry.where, "key_without_ttl", len(dump), shown))
    photo_id = shown.rpartition(":")[2]
    if dump and is_photo_id(photo_id) and photo_id in hunted.photo_ids and not name.startswith(_KEPT):
        found.append(Found(VALKEY, Registry.where, "key_of_ended_photo", len(dump), shown))
    return found
