"""Leases that this replica has granted and another one ends: their receipts are that one's to log, and remembered here
until they are seen to exist.

Whoever granted a lease is the last who answers for it: if its new home is lost, and the registry with it, it ends here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mesh.clock import Clock
from mesh.errors import Unavailable
from mesh.log import get_logger
from mesh.tasks import Tasks
from services.purge.book import Book, Entry
from services.purge.ledger import Logged
from services.purge.metrics import PurgeMetrics
from services.purge.registry import Registry
from services.purge.shards import Shards

_EVERY = 5.0  # seconds between two looks
_AFTER = 5.0  # seconds after its expiry that a lease's receipt is logged wherever it is
_BATCH = 500  # leases in one round trip
_MOST = 20_000  # leases in one look
_log = get_logger()


class Debts:
    """A component. ended: called with a lease that was taken back, and that has to end here."""

    def __init__(
        self,
        *,
        registry: Registry,
        book: Book,
        shards: Shards,
        clock: Clock,
        metrics: PurgeMetrics,
        ended: Callable[[str], None],
    ) -> None:
        self._registry = registry
        self._book = book
        self._shards = shards
        self._clock = clock
        self._metrics = metrics
        self._ended = ended
        self._tasks = Tasks()
        self._owed: dict[str, float] = {}

    def __len__(self) -> int:
        return len(self._owed)

    async def start(self) -> None:
        self._tasks.spawn(self._keep_looking())

    async def stop(self) -> None:
        await self._tasks.cancel()

    def move(self, entry: Entry, ended: bool = False) -> None:
        """A lease of this replica is another's by now. ended: it is known to have a receipt."""
        if self._book.get(entry.photo_id) is not entry:
            return
        self._book.let_go(entry)
        self.add(entry.photo_id, entry.expire, ended)

    def add(self, photo_id: str, expire: float, ended: bool) -> None:
        """As ``move``, of a lease that the Book doesn't have."""
        self._metrics.moved.inc()
        _log.info("lease_moved", photo_id=photo_id)
        if not ended:
            self._owed[photo_id] = expire

    async def look(self) -> None:
        """Looks for the receipts of those that are due, a bounded number. Raises Unavailable."""
        now = self._clock.wall()
        due = [photo_id for photo_id, expire in self._owed.items() if expire + _AFTER < now][:_MOST]
        for at in range(0, len(due), _BATCH):
            await self._look_for(due[at : at + _BATCH])

    async def _look_for(self, due: Sequence[str]) -> None:
        stored = {p: Logged.from_bytes(data) for p, data in (await self._registry.receipts(due)).items()}
        homes = await self._registry.homes(due)
        for photo_id in due:
            if photo_id in stored and stored[photo_id].index >= 0:
                self._owed.pop(photo_id, None)
            elif photo_id not in stored and photo_id not in homes:
                await self._take_back(photo_id)
            else:
                self._owed[photo_id] = self._owed.pop(photo_id)  # later, after all others

    async def _take_back(self, photo_id: str) -> None:
        """Nobody in the registry knows of it. Raises Unavailable unless the other logs can be read."""
        if not await self._shards.ended(photo_id, self._owed[photo_id]):
            _log.error("lease_taken_back", photo_id=photo_id)
            entry = self._book.open(photo_id, self._owed[photo_id])
            entry.taken = float("-inf")
            self._metrics.adopted.inc()
            self._ended(photo_id)
        self._owed.pop(photo_id, None)

    async def _keep_looking(self) -> None:
        while True:
            await self._clock.sleep(_EVERY)
            try:
                await self.look()
            except Unavailable:
                continue
