"""The lease registry in Redis: one method per transition, each of them one atomic function on one shard.

Every method raises Unavailable("REGISTRY_UNAVAILABLE") when Redis is away.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from services.purge import keys
from services.purge.lease import Outcome
from services.purge.link import Call, Link
from services.purge.record import Grant, Record, parse

GRACE = 1.5  # seconds that a lease's keys outlive it: for the reaper to see them, and gone 2 s after even without it
RECEIPT_TTL = 3600.0  # seconds
_QUOTA_TTL = 48 * 3600.0  # seconds


class Reply(StrEnum):
    """What a transition answers. GONE: no such lease, or overdue, or ending."""

    OK = "OK"
    EXISTS = "EXISTS"
    GONE = "GONE"
    STATE = "STATE"
    SIZE = "SIZE"
    COUNT = "COUNT"
    WAIT = "WAIT"


@dataclass(frozen=True, slots=True)
class Report:
    """One custody report. change: H, R or L. ordinal, micros: as in ``lease.Custody``."""

    photo_id: str
    holder: str
    change: str
    ordinal: int
    micros: int = 0


@dataclass(frozen=True, slots=True)
class Claimed:
    """A claim that won. expire: Unix seconds. segments: how many are parked."""

    expire: float
    segments: int


class Registry:
    """Times are Unix seconds and always the caller's."""

    def __init__(self, link: Link) -> None:
        self.link = link

    async def start(self) -> None:
        """Loads the function library."""
        await self.link.load_library()

    async def grant(self, grant: Grant) -> Reply:
        """Writes a new lease, and its owner's set first: an owner who revokes finds every lease."""
        k, ttl = keys.of_photo(grant.photo_id), _ms(grant.expire - grant.granted + GRACE)
        record = (
            grant.photo_id, _ms(grant.expire), ttl, _ms(grant.granted),
            grant.owner, grant.verifier, grant.nonce_commitment, grant.policy_version,
        )  # fmt: skip
        _, reply = await self.link.call_all(
            [("own", [keys.owner(grant.owner)], [grant.photo_id, ttl]), ("grant", [k.lease, k.due], record)]
        )
        return _reply(reply)

    async def count(self, pseudonym: str, day: str, limit: int) -> bool:
        """Counts one more lease of this owner today; False if that is over the limit."""
        return bool(await self.link.call("count", [keys.quota(pseudonym, day)], [limit, _ms(_QUOTA_TTL)]))

    async def custody(self, reports: Sequence[Report]) -> list[str]:
        """Applies reports in their order; answers each lease's state afterwards, or "GONE"."""
        calls: list[Call] = [
            ("custody", [keys.of_photo(r.photo_id).lease], [r.change, r.holder, r.ordinal, r.micros]) for r in reports
        ]
        return [reply.decode() for reply in await self.link.call_all(calls)]

    async def read(self, photo_id: str) -> Record | None:
        """The whole record, or None."""
        fields: dict[bytes, bytes] = await self.link.run(lambda r: r.hgetall(keys.of_photo(photo_id).lease))
        return parse(photo_id, fields)

    async def park_begin(self, photo_id: str, now: float, holders: Sequence[str]) -> Reply:
        k = keys.of_photo(photo_id)
        return _reply(await self.link.call("park_begin", [k.lease, k.parked], [_ms(now), *holders]))

    async def park_segment(self, photo_id: str, now: float, index: int, limit: int, segment: bytes) -> Reply:
        """limit: bytes that all segments may have together."""
        k = keys.of_photo(photo_id)
        return _reply(await self.link.call("park_segment", [k.lease, k.parked], [_ms(now), index, limit, segment]))

    async def park_seal(self, photo_id: str, now: float, count: int) -> Reply:
        k = keys.of_photo(photo_id)
        return _reply(await self.link.call("park_seal", [k.lease, k.parked], [_ms(now), count]))

    async def segment(self, photo_id: str, index: int) -> bytes | None:
        """One parked segment; None once it is gone."""
        segment: bytes | None = await self.link.run(lambda r: r.lindex(keys.of_photo(photo_id).parked, index))
        return segment

    async def claim(self, photo_id: str, now: float, secret_digest: str, owners: Sequence[str]) -> Claimed | Reply:
        """The claim if it won, else WAIT or GONE."""
        lease = keys.of_photo(photo_id).lease
        reply = await self.link.call("claim", [lease], [_ms(now), secret_digest, *owners])
        if reply[0] != b"OK":
            return _reply(reply[0])
        return Claimed(int(reply[1]) / 1000, int(reply[2]))

    async def return_claim(self, photo_id: str, now: float, secret_digest: str) -> Reply:
        lease = keys.of_photo(photo_id).lease
        return _reply(await self.link.call("return_claim", [lease], [_ms(now), secret_digest]))

    async def decide(self, photo_id: str, outcome: Outcome, reason: str, at: float) -> Record | None:
        """Decides the end unless it is decided; the record with the decision that stands, or None without a record."""
        k = keys.of_photo(photo_id)
        flat: list[bytes] = await self.link.call("decide", [k.lease, k.parked], [outcome.value, reason, _ms(at)])
        return parse(photo_id, dict(zip(flat[::2], flat[1::2], strict=True)))

    async def finish(self, photo_id: str, receipt: bytes, owner: str) -> None:
        """Keeps the receipt for an hour (unless empty) and deletes every other key of the lease."""
        k = keys.of_photo(photo_id)
        await self.link.call("finish", list(k), [photo_id, receipt, _ms(RECEIPT_TTL)])
        if owner:
            await self.link.run(lambda r: r.srem(keys.owner(owner), photo_id))

    async def receipt(self, photo_id: str) -> bytes | None:
        """What ``finish`` kept."""
        receipt: bytes | None = await self.link.run(lambda r: r.get(keys.of_photo(photo_id).receipt))
        return receipt

    async def owned(self, pseudonym: str) -> set[str]:
        """The photo_ids of one owner's leases; some may have ended."""
        members: set[bytes] = await self.link.run(lambda r: r.smembers(keys.owner(pseudonym)))
        return {member.decode() for member in members}

    async def overdue(self, now: float, limit: int) -> list[str]:
        """photo_ids of leases that end before ``now`` (infinity: all), at most ``limit`` per shard; one round trip."""
        latest = "+inf" if math.isinf(now) else _ms(now)

        async def operation(redis: Any) -> list[list[bytes]]:
            async with redis.pipeline(transaction=False) as pipe:
                for shard in range(keys.SHARDS):
                    pipe.zrangebyscore(keys.due(shard), "-inf", latest, start=0, num=limit)
                return list(await pipe.execute())

        return [member.decode() for shard in await self.link.run(operation) for member in shard]

    async def day_key(self, day: str, ttl: float, proposal: bytes | None) -> bytes | None:
        """The day's pseudonym key; if there is none it becomes ``proposal`` for ``ttl`` seconds."""

        async def operation(redis: Any) -> Any:
            name = keys.pseudonym_key(day)
            if proposal is not None and ttl > 0:
                await redis.set(name, proposal, nx=True, px=_ms(ttl))
            return await redis.get(name)

        key: bytes | None = await self.link.run(operation)
        return key


def _ms(seconds: float) -> int:
    return round(seconds * 1000)


def _reply(reply: bytes) -> Reply:
    return Reply(reply.decode())
