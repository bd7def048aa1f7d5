"""The lease registry in Redis: one method per transition, each of them one atomic function on one shard.

Every method raises Unavailable("REGISTRY_UNAVAILABLE") when Redis is away, and Moved for a lease that another replica
of purge ends.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from mesh.errors import Internal, Unavailable
from services.purge import keys
from services.purge.lease import Outcome
from services.purge.link import Call, Link
from services.purge.record import Grant, Record, parse

Words = list[str | int | bytes]
GRACE = 1.5  # seconds that a lease's keys outlive it: for the reaper to see them, and gone 2 s after even without it
RECEIPT_TTL = 3600.0  # seconds
_QUOTA_TTL = 48 * 3600.0  # seconds
_TERM_TTL = 48 * 3600.0  # seconds


class Reply(StrEnum):
    """What a transition answers.

    GONE: no such lease, or overdue, or ending. MOVED: another replica ends it. ENDED: its end is decided.
    HELD: somebody has the photo.
    """

    OK = "OK"
    MOVED = "MOVED"
    ENDED = "ENDED"
    HELD = "HELD"
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
    """A claim that won. expire: Unix seconds. segments: how many are parked.

    again: this claimant had claimed it before.
    """

    expire: float
    segments: int
    again: bool = False


@dataclass(frozen=True, slots=True)
class Leadership:
    """leader: a replica's name. term: larger with each new leader; what an older one does late is refused."""

    leader: str
    term: int


class Moved(Internal):
    """Another replica of purge ends this lease. Stays inside purge. ended: its receipt is in that one's log."""

    def __init__(self, *, ended: bool = False) -> None:
        super().__init__("LEASE_MOVED", "Another replica of purge keeps this lease.")
        self.ended = ended


class Registry:
    """Times are Unix seconds and always the caller's. home: this replica's name."""

    def __init__(self, link: Link, home: str = "purge-0") -> None:
        self.link = link
        self.home = home

    async def start(self) -> None:
        """Loads the function library."""
        await self.link.load_library()

    async def grant(self, grant: Grant, day: str) -> tuple[Reply, int]:
        """Writes a new lease, and its owner's set first: an owner who revokes finds every lease.

        Also answers how many leases this owner has now had on ``day`` (YYYY-MM-DD), this one included.
        """
        k, ttl, expire = keys.of_photo(grant.photo_id), _ms(grant.expire - grant.granted + GRACE), _ms(grant.expire)
        own = (grant.photo_id, expire, _ms(grant.granted), ttl)
        record = (
            grant.photo_id, expire, ttl, _ms(grant.granted),
            grant.owner, grant.verifier, grant.nonce_commitment, grant.policy_version, self.home,
        )  # fmt: skip
        _, count, reply = await self.link.call_all(
            [
                ("own", [keys.owner(grant.owner)], own),
                ("count", [keys.quota(grant.owner, day)], [_ms(_QUOTA_TTL)]),
                ("grant", [k.lease, k.due, k.receipt], record),
            ]
        )
        return _reply(reply), int(count)

    async def custody(
        self, reports: Sequence[Report], disowned: Mapping[str, Sequence[str]] = MappingProxyType({})
    ) -> dict[str, str]:
        """Applies reports in their order; answers each lease's state afterwards, or "GONE", or "MOVED".

        disowned: as in ``disown``, in the same round trip.
        """
        of_photo: dict[str, list[Report]] = {}
        for report in reports:
            of_photo.setdefault(report.photo_id, []).append(report)
        calls: list[Call] = [
            ("custody", [keys.of_photo(photo_id).lease], [self.home, *_words(mine)])
            for photo_id, mine in of_photo.items()
        ]
        states = (await self.link.call_all([*calls, *_disown(disowned)]))[: len(calls)]
        return {photo_id: state.decode() for photo_id, state in zip(of_photo, states, strict=True)}

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

    async def claim(
        self, photo_id: str, now: float, secret_digest: str, claimant: str, owners: Sequence[str]
    ) -> Claimed | Reply:
        """The claim if it won, or is this claimant's already; else WAIT or GONE."""
        lease = keys.of_photo(photo_id).lease
        reply = await self.link.call("claim", [lease], [_ms(now), secret_digest, claimant, *owners])
        if reply[0] != b"OK":
            return _reply(reply[0])
        return Claimed(int(reply[1]) / 1000, int(reply[2]), again=reply[3:] == [b"AGAIN"])

    async def return_claim(self, photo_id: str, now: float, secret_digest: str, claimant: str) -> Reply:
        lease = keys.of_photo(photo_id).lease
        return _reply(await self.link.call("return_claim", [lease], [_ms(now), secret_digest, claimant]))

    async def end_if_released(self, photo_id: str, receipt: bytes, reports: Sequence[Report] = ()) -> Reply:
        """The end of a lease that nobody holds: all its keys go, its receipt stays for an hour (unless empty).

        ``disown`` is still to be called.
        reports: of this photo, applied first. GONE, HELD, ENDED, MOVED: nothing has ended.
        """
        k = keys.of_photo(photo_id)
        args: Words = [photo_id, self.home, receipt, _ms(RECEIPT_TTL), *_words(reports)]
        return _reply(await self.link.call("end_if_released", list(k), args))

    async def decide(
        self, photo_id: str, outcome: Outcome, reason: str, at: float, reports: Sequence[Report] = ()
    ) -> Record | None:
        """Decides the end unless it is decided; the record with the decision that stands, or None without a record.

        reports: of this photo, applied first.
        """
        k = keys.of_photo(photo_id)
        args: Words = [self.home, outcome.value, reason, _ms(at), *_words(reports)]
        return _record(photo_id, await self.link.call("decide", [k.lease, k.parked], args))

    async def commit(self, photo_id: str, receipt: bytes) -> Reply:
        """Fixes the receipt of a lease whose end was decided and deletes what else there is of it, if it is ours.

        OK: exactly this receipt is ours to log. GONE, MOVED: nothing has changed.
        """
        return _reply(await self.link.call("commit", list(keys.of_photo(photo_id)), self._finish(photo_id, receipt)))

    async def finish(self, photo_id: str, receipt: bytes, owner: str) -> None:
        """Keeps the receipt for an hour (unless empty), and deletes what else there is of the lease.

        owner: the pseudonym, empty if it isn't known.
        """
        calls: list[Call] = [("finish", list(keys.of_photo(photo_id)), self._finish(photo_id, receipt))]
        if owner:
            calls.append(("disown", [keys.owner(owner)], [photo_id]))
        if _reply((await self.link.call_all(calls))[0]) is Reply.MOVED:
            raise Moved

    async def disown(self, photo_ids: Mapping[str, Sequence[str]]) -> None:
        """Forgets whose ended leases were: by pseudonym, the photo_ids."""
        await self.link.call_all(_disown(photo_ids))

    async def finish_all(self, receipts: Mapping[str, bytes]) -> None:
        """``finish`` of many, by photo_id; those that are another replica's stay."""
        await self.link.call_all(
            [("finish", list(keys.of_photo(p)), self._finish(p, receipt)) for p, receipt in receipts.items()]
        )

    async def end_all_if_released(self, photo_ids: Sequence[str]) -> list[Reply]:
        """``end_if_released`` of many, without receipts."""
        calls: list[Call] = [("end_if_released", list(keys.of_photo(p)), self._finish(p, b"")) for p in photo_ids]
        return [_reply(reply) for reply in await self.link.call_all(calls)]

    async def adopt(self, photo_id: str, home: str, term: int) -> Record | None:
        """Makes this replica the home of a lease whose ``home`` is dead. None without a record."""
        reply = await self.link.call("adopt", [keys.of_photo(photo_id).lease], [home, self.home, term])
        return _record(photo_id, reply)

    async def adopt_all(self, photo_ids: Sequence[str], home: str, term: int) -> dict[str, Record]:
        """``adopt`` of many; those that this replica has not got by it are left out."""
        calls: list[Call] = [("adopt", [keys.of_photo(p).lease], [home, self.home, term]) for p in photo_ids]
        replies = zip(photo_ids, await self.link.call_all(calls), strict=True)
        records = {p: parse(p, _fields(flat)) for p, flat in replies if flat != [b"MOVED"]}
        return {photo_id: record for photo_id, record in records.items() if record is not None}

    async def homes(self, photo_ids: Sequence[str]) -> dict[str, str]:
        """The home of each lease that has a record; one round trip."""
        names = [(p, keys.of_photo(p).lease) for p in photo_ids]
        found = await self._ask({p: (name, ("HGET", name, "home")) for p, name in names})
        return {photo_id: home.decode() for photo_id, home in found.items() if home is not None}

    async def read_all(self, photo_ids: Sequence[str]) -> dict[str, Record]:
        """``read`` of many in one round trip."""
        names = [(p, keys.of_photo(p).lease) for p in photo_ids]
        found = await self._ask({p: (name, ("HGETALL", name)) for p, name in names})
        records = {photo_id: parse(photo_id, _fields(flat)) for photo_id, flat in found.items()}
        return {photo_id: record for photo_id, record in records.items() if record is not None}

    async def beat(self, token: str, address: str, ttl: float) -> bool:
        """Says that this replica lives. False if nobody could know since its last beat: others may have adopted its
        leases."""
        reply: bytes = await self.link.call("beat", [keys.replica(self.home)], [token, address, _ms(ttl)])
        return reply == b"KEPT"

    async def is_alive(self, replica: str) -> bool:
        """Whether a replica has said so lately."""
        return (await self.alive([replica]))[replica]

    async def alive(self, replicas: Sequence[str]) -> dict[str, bool]:
        """``is_alive`` of many, looked at in their order."""
        names = [(replica, keys.replica(replica)) for replica in replicas]
        found = await self._ask({replica: (name, ("GET", name)) for replica, name in names})
        return {replica: value is not None for replica, value in found.items()}

    async def retire(self) -> None:
        """Says that this replica has stopped: what it kept may be adopted at once."""
        await self.link.send(keys.replica(self.home), "DEL", keys.replica(self.home))

    async def campaign(self, now: float, ttl: float) -> Leadership:
        """Takes or keeps the leadership for ``ttl`` seconds if nobody else has it; says who has it."""
        args: Words = [self.home, _ms(ttl), _ms(now), _ms(_TERM_TTL)]
        leader, term = await self.link.call("campaign", [keys.LEADER, keys.TERM], args)
        return Leadership(leader.decode(), int(term))

    async def resign(self) -> None:
        """Gives the leadership back, if it is ours."""
        await self.link.call("resign", [keys.LEADER, keys.TERM], [self.home])

    async def receipt(self, photo_id: str) -> bytes | None:
        """What ``finish`` kept."""
        receipt: bytes | None = await self.link.run(lambda r: r.get(keys.of_photo(photo_id).receipt))
        return receipt

    async def receipts(self, photo_ids: Sequence[str]) -> dict[str, bytes]:
        """``receipt`` of many, as far as there are any; one round trip."""
        names = [(p, keys.of_photo(p).receipt) for p in photo_ids]
        found = await self._ask({p: (name, ("GET", name)) for p, name in names})
        return {photo_id: receipt for photo_id, receipt in found.items() if receipt is not None}

    async def due(self, shard: int) -> list[str]:
        """photo_ids of one shard's leases."""
        members: list[bytes] = await self.link.send(keys.due(shard), "ZRANGE", keys.due(shard), 0, -1)
        return [member.decode() for member in members]

    async def owned(self, pseudonym: str) -> set[str]:
        """The photo_ids of one owner's leases; some may have ended."""
        members: list[bytes] = await self.link.run(lambda r: r.zrange(keys.owner(pseudonym), 0, -1))
        return {member.decode() for member in members}

    async def overdue(self, now: float, limit: int) -> list[str]:
        """photo_ids of leases that end before ``now`` (infinity: all), at most ``limit`` per shard; one round trip."""
        latest = "+inf" if math.isinf(now) else _ms(now)
        sets = [keys.due(shard) for shard in range(keys.SHARDS)]
        replies = await self.link.send_each(
            [(key, ("ZRANGEBYSCORE", key, "-inf", latest, "LIMIT", 0, limit)) for key in sets]
        )
        found: list[str] = []
        for reply in replies:
            if isinstance(reply, Exception):
                raise reply
            found += [member.decode() for member in reply]
        return found

    async def day_key(self, day: str, ttl: float, proposal: bytes | None) -> bytes | None:
        """The day's pseudonym key; if there is none it becomes ``proposal`` for ``ttl`` seconds."""

        async def operation(redis: Any) -> Any:
            name = keys.pseudonym_key(day)
            if proposal is not None and ttl > 0:
                await redis.set(name, proposal, nx=True, px=_ms(ttl))
            return await redis.get(name)

        key: bytes | None = await self.link.run(operation)
        return key

    async def _ask(self, commands: Mapping[str, tuple[str, Sequence[str | int]]]) -> dict[str, Any]:
        """A plain command for each name, with its key. Raises Unavailable if one of them failed."""
        replies = await self.link.send_each(list(commands.values()))
        for reply in replies:
            if isinstance(reply, Unavailable):
                raise reply
        return dict(zip(commands, replies, strict=True))

    def _finish(self, photo_id: str, receipt: bytes) -> Words:
        return [photo_id, self.home, receipt, _ms(RECEIPT_TTL)]


def _words(reports: Sequence[Report]) -> list[str | int]:
    return [word for r in reports for word in (r.change, r.holder, r.ordinal, r.micros)]


def _disown(photo_ids: Mapping[str, Sequence[str]]) -> list[Call]:
    return [("disown", [keys.owner(owner)], ids) for owner, ids in photo_ids.items()]


def _record(photo_id: str, flat: Sequence[bytes]) -> Record | None:
    if flat == [b"MOVED"]:
        raise Moved
    return parse(photo_id, _fields(flat))


def _fields(flat: Sequence[bytes]) -> dict[bytes, bytes]:
    return dict(zip(flat[::2], flat[1::2], strict=True))


def _ms(seconds: float) -> int:
    return round(seconds * 1000)


def _reply(reply: bytes) -> Reply:
    return Reply(reply.decode())
