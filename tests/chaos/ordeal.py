"""One fault in the middle of 200 photos, and what became of them."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import Counter
from dataclasses import dataclass

from clients.local.mesh import LocalMesh
from mesh.testing.wait import eventually
from tests.chaos import promises
from tests.chaos.crowd import Crowd, Trip
from tests.chaos.trouble import Trouble

PHOTOS = 200
BEFORE = 70  # photos that have begun when the fault does
PROMISED = 5.0  # seconds until new photos work again
_BATCH = 8  # photos that must all arrive: enough for every shard of a small cluster
_EVERY = 0.25  # seconds between two batches
_AT_MOST = 30.0  # seconds of looking, so that a broken promise is told with its number


@dataclass(frozen=True, slots=True)
class Account:
    """What a fault did. taken_over: seconds from the fault's beginning until new photos worked, if somebody is to take
    over; healed: the same from the fault's end. ends: photos by how they ended; receipts: by outcome and reason."""

    taken_over: float | None
    healed: float
    ends: Counter[str]
    receipts: Counter[str]

    def __str__(self) -> str:
        taken_over = "" if self.taken_over is None else f"taken over after {self.taken_over:.1f} s, "
        return f"{taken_over}healed after {self.healed:.1f} s; photos {dict(self.ends)}; receipts {dict(self.receipts)}"


async def endure(mesh: LocalMesh, trouble: Trouble) -> Account:
    """Lets the fault happen, from its beginning to its end. AssertionError names the promise that is broken."""
    async with Crowd(mesh) as crowd:
        sending = asyncio.create_task(crowd.send(PHOTOS))
        await eventually(lambda: len(crowd.trips) >= BEFORE // 2, within=30)
        # What a batch takes here and now, without a fault. New photos work again within 5 s if a batch that begins by
        # then takes no longer than that; so this is allowed beside the 5 s, and is no grace.
        before = time.monotonic()
        usual = await works(crowd) - before
        await eventually(lambda: len(crowd.trips) >= BEFORE, within=30)
        began, happening = time.monotonic(), asyncio.ensure_future(trouble.fault(crowd))
        taken_over = await works(crowd) - began if trouble.takes_over else None
        await happening
        ended = time.monotonic()
        healed = await works(crowd) - ended
        await sending
        account = Account(taken_over, healed, crowd.tally(), Counter())
        promises.nobody_has_anothers(crowd)
        receipts = await promises.each_has_one_receipt(mesh, crowd)
        account.receipts.update(promises.outcomes(receipts, crowd))
        await promises.nothing_stays(trouble.servers)
    assert account.ends.keys() >= set(trouble.expected), f"the fault did nothing: {account}"
    for seconds in (taken_over, healed):
        assert seconds is None or seconds <= PROMISED + usual, f"too late, where {usual:.1f} s is usual: {account}"
    print(account)  # noqa: T201 - with -s, and where a test fails
    return account


async def works(crowd: Crowd) -> float:
    """When a batch of new photos had all arrived, monotonic; the first of many that are sent one after the other."""
    found: asyncio.Future[float] = asyncio.get_running_loop().create_future()

    async def batch() -> None:
        trips = await crowd.together(_BATCH)
        if all(map(_arrived, trips)) and not found.done():
            found.set_result(max(trip.over for trip in trips))

    tasks: set[asyncio.Task[None]] = set()
    for attempt in itertools.count():
        tasks.add(asyncio.create_task(batch()))
        done, _ = await asyncio.wait([found], timeout=_EVERY)
        promises.nobody_has_anothers(crowd)
        if done or attempt * _EVERY > _AT_MOST:
            break
    await asyncio.gather(*tasks)
    assert found.done(), f"no new photo for {_AT_MOST} s: {crowd.tally()}"
    return found.result()


def _arrived(trip: Trip) -> bool:
    return trip.arrived and not trip.wrong
