"""Grants and receipts on their way into the log, and back out of it as bundles."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from mesh.clock import Clock, SystemClock
from mesh.errors import MeshError
from mesh.transparency.agent import AgentKey
from mesh.transparency.bundle import Bundle, LogProof
from mesh.transparency.dsse import Envelope, key_id
from mesh.transparency.errors import VerificationError
from mesh.transparency.keys import SigningKey
from mesh.transparency.merkle import leaf_hash
from services.purge import snapshot
from services.purge.log import SNAPSHOT, Log
from services.purge.receipt import Grant, LoggedReceipt, Receipt, parse_entry, sign_receipt
from services.purge.tally import Fact, Granted, Tally, Totals, ended, read_fact

_INCLUSION_WITHIN = 5.0  # seconds that a caller waits for the log to integrate its receipt
_SNAPSHOT_ENTRIES = 50_000  # after so many new entries, or half as many as there are open grants, a new snapshot
_SNAPSHOT_SECONDS = 60.0  # or after so long, if there is anything new
UNLOGGED = -1
"""The index of a receipt that is signed and not in the log yet."""
_SIGN_AT_ONCE = 128  # receipts; 5 ms of the event loop


@dataclass(frozen=True, slots=True)
class Logged:
    """A receipt that is durable in the log of ``registry``, a replica. index: UNLOGGED for one that is about to be."""

    index: int
    envelope: Envelope
    registry: str = ""

    def to_bytes(self) -> bytes:
        """What the registry keeps for an hour: the index, a replica perhaps; a line feed, the envelope."""
        registry = b" " + self.registry.encode() if self.registry else b""
        return b"%d%b\n%b" % (self.index, registry, self.envelope.to_json())

    @classmethod
    def from_bytes(cls, data: bytes) -> Logged:
        head, _, envelope = data.partition(b"\n")
        index, _, registry = head.partition(b" ")
        return cls(int(index), Envelope.from_json(envelope), registry.decode())

    @property
    def receipt(self) -> Receipt:
        return Receipt.from_json(self.envelope.payload)


@dataclass(frozen=True, slots=True)
class History:
    """What the log says. open: photo_id → expire_time (Unix seconds). replayed: how many entries had to be read."""

    open: Mapping[str, int]
    totals: Totals
    replayed: int


class Ledger:
    """The log and the key that signs receipts. Every append raises Unavailable when the log's disk fails.

    Keeps account of the log from ``history`` on: its totals, and where the last hour's receipts lie.
    ``before`` are the totals of the runs before this one. home: this replica's name.
    """

    def __init__(self, log: Log, key: SigningKey, clock: Clock | None = None, home: str = "") -> None:
        self.log = log
        self.home = home
        self._clock = clock or SystemClock()
        self._tally: Tally | None = None if log.size else Tally()
        self.before = Totals(0, {})
        self._leaf: Callable[[], bytes] | None = None
        self._frozen_at, self._frozen_when = 0, self._clock.monotonic()
        self.use(key)
        log.accountant = self

    def use(self, key: SigningKey) -> None:
        """Signs receipts with this key from now on."""
        self._key, self._keyid = key, key_id(key.public_key())

    @property
    def totals(self) -> Totals:
        """Of the whole log; of nothing before ``history``."""
        return (self._tally or Tally()).totals

    @property
    def tally(self) -> Tally | None:
        """The account itself, for whoever only reads it; None while there is none (see ``durable``)."""
        return self._tally

    async def admit(self, photo_id: str, expire: float) -> None:
        """Makes a grant durable. From here on the lease owes a receipt."""
        grant = Grant(photo_id, round(expire))
        await self.log.append(grant.to_entry(), Granted(photo_id, grant.expire_time))

    async def issue(self, receipt: Receipt) -> Logged:
        """Signs a receipt and makes it durable. Raises Unavailable also when the key's agent is away."""
        (logged,) = await self.issue_many([receipt])
        return logged

    async def issue_many(self, receipts: Sequence[Receipt]) -> list[Logged]:
        """The same for many at the price of one wait: all of them are logged, or none is acknowledged."""
        return await self.record_all(await self.sign_all(receipts), receipts)

    async def record_all(self, envelopes: Sequence[Envelope], receipts: Sequence[Receipt]) -> list[Logged]:
        """Makes receipts durable that ``sign_all`` has signed: all of them are logged, or none is acknowledged."""
        facts = [ended(receipt) for receipt in receipts]
        first = await self.log.append_many([LoggedReceipt(envelope).to_entry() for envelope in envelopes], facts)
        return [Logged(index, envelope, self.home) for index, envelope in enumerate(envelopes, first)]

    def sign(self, receipt: Receipt) -> Envelope:
        """Blocks while an agent signs."""
        return sign_receipt(receipt, self._key, self._keyid)

    async def sign_all(self, receipts: Sequence[Receipt]) -> list[Envelope]:
        """Without logging them. Raises Unavailable when the key's agent is away."""
        if isinstance(self._key, AgentKey):
            return await asyncio.to_thread(lambda: [self.sign(receipt) for receipt in receipts])
        envelopes = []
        for number, receipt in enumerate(receipts, 1):
            envelopes.append(self.sign(receipt))
            if number % _SIGN_AT_ONCE == 0:
                await asyncio.sleep(0)
        return envelopes

    async def record(self, envelope: Envelope) -> Logged:
        """Makes a receipt durable that ``sign`` has signed."""
        entry = LoggedReceipt(envelope).to_entry()
        return Logged(await self.log.append(entry, read_fact(entry)), envelope, self.home)

    async def bundle(self, logged: Logged, *, wait: bool) -> bytes:
        """The receipt as its owner gets it; with its proof of inclusion if there is one, or after a ``wait`` for it."""
        bare = Bundle(logged.envelope)
        if logged.index == UNLOGGED or logged.registry != self.home:
            return bare.to_json()
        if logged.index >= self.log.size or (not wait and logged.index >= self.log.integrated_size):
            return bare.to_json()
        if wait and self._is_here(logged):
            try:
                async with asyncio.timeout(_INCLUSION_WITHIN):
                    await self.log.wait_integrated(logged.index)
            except (TimeoutError, MeshError):
                pass
        if logged.index >= self.log.integrated_size:
            return bare.to_json()
        return (await asyncio.to_thread(self._proven, logged) or bare).to_json()

    def find(self, photo_id: str) -> Logged | None:
        """The receipt of a lease that ended in this log within the hour, without Redis. Reads one small file."""
        index = self._tally.recent.get(photo_id) if self._tally is not None else None
        if index is None:
            return None
        try:
            parsed = parse_entry(self.log.entry(index))
            if isinstance(parsed, LoggedReceipt) and parsed.receipt().photo_id == photo_id:
                return Logged(index, parsed.envelope, self.home)
        except (OSError, IndexError, VerificationError):
            pass
        return None

    def history(self) -> History:
        """Brings the account up to date: from the last run's snapshot, or by reading the whole log. Blocks."""
        tally = self._thawed() or Tally()
        start = tally.covered
        for entry in self.log.iterate(start):
            tally.add(read_fact(entry))
        self._tally, self._frozen_at, self.before = tally, start, tally.totals
        if covered := tally.covered:
            self._leaf = lambda: leaf_hash(self.log.entry(covered - 1))
        return History(tally.open(), tally.totals, tally.covered - start)

    def durable(self, first: int, entries: Sequence[bytes], facts: Sequence[object]) -> None:
        """As the log's accountant."""
        tally = self._tally
        if tally is None or tally.covered != first:
            self._tally = None  # something was appended before ``history``: there is no account until the next start
            return
        known: Sequence[Fact] = facts or [read_fact(entry) for entry in entries]  # type: ignore[assignment]
        for fact in known:
            tally.add(fact)
        self._leaf = lambda: leaf_hash(entries[-1])

    def snapshot(self, *, final: bool) -> Callable[[], bytes] | None:
        """As the log's accountant."""
        tally, now = self._tally, self._clock.monotonic()
        if tally is None or self._leaf is None or tally.covered == self._frozen_at:
            return None
        new = tally.covered - self._frozen_at
        enough = new >= max(_SNAPSHOT_ENTRIES, len(tally.packed) // 2)
        late = now - self._frozen_when >= _SNAPSHOT_SECONDS and new >= len(tally.packed) // 16
        if not (final or enough or late):
            return None
        self._frozen_at, self._frozen_when = tally.covered, now
        return snapshot.freeze(tally, self._leaf())

    def _thawed(self) -> Tally | None:
        data = self.log.read_side(SNAPSHOT)
        if data is None:
            return None
        try:
            return snapshot.thaw(data, lambda index: leaf_hash(self.log.entry(index)))
        except (snapshot.Unusable, OSError, VerificationError):
            return None

    def _proven(self, logged: Logged) -> Bundle | None:
        if not self._is_here(logged):
            return None
        proof = self.log.prove(logged.index)
        return Bundle(logged.envelope, LogProof(proof.index, proof.hashes, proof.checkpoint))

    def _is_here(self, logged: Logged) -> bool:
        """Not in another replica's log, nor in one that was since replaced."""
        try:
            return self.log.entry(logged.index) == LoggedReceipt(logged.envelope).to_entry()
        except IndexError:
            return False
