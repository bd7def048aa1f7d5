"""Grants and receipts on their way into the log, and back out of it as bundles."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from mesh.errors import MeshError
from mesh.transparency.bundle import Bundle, LogProof
from mesh.transparency.dsse import Envelope
from services.purge.log import Log
from services.purge.receipt import Grant, LoggedReceipt, Receipt, parse_entry, sign_receipt

_INCLUSION_WITHIN = 5.0  # seconds that a caller waits for the log to integrate its receipt


@dataclass(frozen=True, slots=True)
class Logged:
    """A receipt that is durable in the log."""

    index: int
    envelope: Envelope

    def to_bytes(self) -> bytes:
        """What the registry keeps for an hour: the index, a line feed, the envelope."""
        return b"%d\n%b" % (self.index, self.envelope.to_json())

    @classmethod
    def from_bytes(cls, data: bytes) -> Logged:
        index, _, envelope = data.partition(b"\n")
        return cls(int(index), Envelope.from_json(envelope))

    @property
    def receipt(self) -> Receipt:
        return Receipt.from_json(self.envelope.payload)


@dataclass(frozen=True, slots=True)
class History:
    """What the log says. open: photo_id → expire_time (Unix seconds). ended: those with a receipt."""

    open: Mapping[str, int]
    ended: Mapping[str, Logged]


class Ledger:
    """The log and the key that signs receipts. Every append raises Unavailable when the log's disk fails."""

    def __init__(self, log: Log, key: Ed25519PrivateKey) -> None:
        self.log = log
        self._key = key

    async def admit(self, photo_id: str, expire: float) -> None:
        """Makes a grant durable. From here on the lease owes a receipt."""
        await self.log.append(Grant(photo_id, round(expire)).to_entry())

    def sign(self, receipt: Receipt) -> Envelope:
        return sign_receipt(receipt, self._key)

    async def record(self, envelope: Envelope) -> Logged:
        """Makes a receipt durable."""
        return Logged(await self.log.append(LoggedReceipt(envelope).to_entry()), envelope)

    async def bundle(self, logged: Logged, *, wait: bool) -> bytes:
        """The receipt as its owner gets it; with its proof of inclusion if there is one, or after a ``wait`` for it."""
        if not self._is_ours(logged):
            return Bundle(logged.envelope).to_json()
        if wait:
            try:
                async with asyncio.timeout(_INCLUSION_WITHIN):
                    await self.log.wait_integrated(logged.index)
            except (TimeoutError, MeshError):
                pass
        if logged.index >= self.log.integrated_size:
            return Bundle(logged.envelope).to_json()
        proof = await asyncio.to_thread(self.log.prove, logged.index)
        return Bundle(logged.envelope, LogProof(proof.index, proof.hashes, proof.checkpoint)).to_json()

    def history(self, since: float) -> History:
        """Reads the whole log. Blocks. ``ended`` leaves out receipts that are older than ``since``, Unix seconds."""
        grants: dict[str, int] = {}
        ended: dict[str, Logged] = {}
        for index, entry in enumerate(self.log.iterate()):
            parsed = parse_entry(entry)
            if isinstance(parsed, Grant):
                grants[parsed.photo_id] = parsed.expire_time
                continue
            receipt = parsed.receipt()
            grants.pop(receipt.photo_id, None)
            if receipt.ended_time >= since:
                ended[receipt.photo_id] = Logged(index, parsed.envelope)
        return History(grants, ended)

    def _is_ours(self, logged: Logged) -> bool:
        """Not another replica's, and not of a log that was since replaced."""
        try:
            return self.log.entry(logged.index) == LoggedReceipt(logged.envelope).to_entry()
        except IndexError:
            return False
