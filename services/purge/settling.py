"""A delivered photo's end in one round trip, and what a crash leaves of it.

The receipt is signed first; the registry ends the lease and keeps that receipt in one step; then the log takes it.
After a crash in between, the registry has a receipt that this replica owes the log: it logs exactly that one.
"""

from __future__ import annotations

from collections.abc import Collection

from mesh.tracing import spans
from mesh.transparency.dsse import Envelope
from services.purge.book import Book, Entry
from services.purge.closing import Closing
from services.purge.fence import Fence
from services.purge.lease import LIVE, End, Lease, Outcome
from services.purge.ledger import UNLOGGED, Ledger, Logged
from services.purge.receipt import Receipt
from services.purge.registry import Moved, Registry, Reply
from services.purge.writer import Writer


class Settling:
    """See the module."""

    def __init__(
        self, *, registry: Registry, book: Book, ledger: Ledger, closing: Closing, writer: Writer, fence: Fence
    ) -> None:
        self._registry = registry
        self._book = book
        self._ledger = ledger
        self._closing = closing
        self._writer = writer
        self._fence = fence

    async def settle(self, entry: Entry, end: End, expected: Collection[str], until: float) -> Logged | None:
        """Waits until nobody holds the photo, at most ``until`` (monotonic) or the lease's expiry, and ends the lease.

        expected: holders that were named for it.
        None: it isn't that simple, and nothing has ended. Unavailable: nobody knows. Moved.
        """
        if entry.lease.state not in LIVE or entry.grant is None or not self._fence.is_certain(entry):
            return None
        until = min(until, entry.deadline)
        with spans.span("holders"):
            released = await self._book.wait(entry, lambda lease: not lease.unreleased(expected), until)
        if not released:
            return None
        lease = entry.lease.decide(end).conclude()
        receipt = self._closing.receipt(entry, lease, end, expected)
        (envelope,) = await self._ledger.sign_all([receipt])
        stored = Logged(UNLOGGED, envelope, self._registry.home).to_bytes()
        entry.doubtful = True
        with spans.span("registry"):
            reply = await self._registry.end_if_released(entry.photo_id, stored, self._writer.pending(entry.photo_id))
        entry.doubtful = False
        if reply is Reply.MOVED:
            raise Moved
        return await self._log(entry, lease, end, receipt, envelope) if reply is Reply.OK else None

    async def signed(self, photo_id: str) -> Envelope | None:
        """The receipt with which this replica has ended a lease in the registry, and which the log has not got.

        Unavailable.
        """
        stored = await self._registry.receipt(photo_id)
        logged = None if stored is None else Logged.from_bytes(stored)
        return logged.envelope if logged is not None and self.is_owed(logged) else None

    def is_owed(self, logged: Logged) -> bool:
        """Whether it was this replica's to log it, when the registry got it."""
        return logged.index == UNLOGGED and logged.registry == self._registry.home

    async def take_over(self, entry: Entry, envelope: Envelope) -> tuple[End, Logged]:
        """Logs what ``signed`` has found. There must never be another receipt of this lease."""
        receipt = Receipt.from_json(envelope.payload)
        end = End(Outcome(receipt.outcome), receipt.reason, receipt.ended_time)
        self._closing.was_due(entry, end.at)
        return end, await self._log(entry, entry.lease.decide(end).conclude(), end, receipt, envelope)

    async def _log(self, entry: Entry, lease: Lease, end: End, receipt: Receipt, envelope: Envelope) -> Logged:
        with spans.span("log"):
            (logged,) = await self._closing.log([envelope], [receipt])
        self._closing.close(entry, lease, end)
        self._closing.over(entry, end)
        self._writer.drop(entry.photo_id)
        if entry.grant is not None:
            self._writer.disown(entry.grant.owner, entry.photo_id)
        return logged
