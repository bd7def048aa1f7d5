"""Claims of parked pictures: one claimant goes on where it was cut off; a claim that nobody waits for goes back."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from mesh.errors import Invalid, MeshError, NotFound, Unavailable
from mesh.testing.valkey import ValkeyServer
from mesh.testing.wait import eventually
from services.purge.lease import State
from services.purge.parked import Claimant
from services.purge.registry import Claimed, Reply
from tests.unit.services.purge.desk import OWNER, Desk, desk
from tests.unit.services.purge.world import SECRET

SEGMENTS = [b"zero", b"one", b"two"]


@pytest.fixture
async def purge(valkey: ValkeyServer, tmp_path: Path) -> AsyncIterator[Desk]:
    async with desk(valkey.url, tmp_path) as running:
        yield running


async def parked(purge: Desk) -> tuple[str, Claimant, Claimant]:
    """A parked picture, and two that come for it."""
    grant = await purge.grant()
    berth = await purge.core.parking.begin(grant.photo_id, [])
    for segment in SEGMENTS:
        await berth.add(segment)
    await berth.seal(len(SEGMENTS))
    owners = await purge.core.pseudonyms.possible(OWNER)
    return grant.photo_id, Claimant(SECRET, "0" * 32, owners), Claimant(SECRET, "1" * 32, owners)


async def taken(purge: Desk, photo_id: str, who: Claimant, at: int = 0) -> list[bytes]:
    handout = await purge.core.parking.claim(photo_id, who, at)
    return [segment async for segment in purge.core.parking.segments(photo_id, handout, at)]


async def test_a_claimant_goes_on_from_any_segment(purge: Desk) -> None:
    photo_id, me, other = await parked(purge)
    for at in range(len(SEGMENTS) + 1):
        assert await taken(purge, photo_id, me, at) == SEGMENTS[at:]
        with pytest.raises(NotFound):
            await taken(purge, photo_id, other, at)
    with pytest.raises(Invalid):
        await taken(purge, photo_id, me, len(SEGMENTS) + 1)
    with pytest.raises(NotFound):
        await purge.core.parking.return_claim(photo_id, SECRET, me.claimant)


async def test_a_claim_past_the_end_claims_nothing(purge: Desk) -> None:
    photo_id, me, other = await parked(purge)
    with pytest.raises(Invalid):
        await taken(purge, photo_id, me, 9)
    assert await eventually(lambda: state(purge, photo_id) is State.PARKED)
    assert await taken(purge, photo_id, other) == SEGMENTS


@pytest.mark.parametrize("moment", ["claim", "segment"])
async def test_a_caller_that_goes_before_its_first_segment_has_claimed_nothing(
    purge: Desk, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    photo_id, me, other = await parked(purge)
    registry, reached, may_go = purge.core.registry, asyncio.Event(), asyncio.Event()
    method = getattr(registry, moment)

    async def slow(*args: Any) -> Any:
        """The registry has done it already when the caller goes."""
        answer = await method(*args)
        reached.set()
        await may_go.wait()
        return answer

    monkeypatch.setattr(registry, moment, slow)
    calling = asyncio.create_task(purge.core.parking.claim(photo_id, me))
    await reached.wait()
    calling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await calling
    assert await registry.return_claim(photo_id, 0, me.digest, other.claimant) is Reply.GONE
    monkeypatch.undo()
    may_go.set()

    async def free() -> bool:
        record = await registry.read(photo_id)
        return record is not None and record.lease.state is State.PARKED

    assert await eventually(free), "as the registry has it: purge's own view may not have heard of the claim yet"
    assert await taken(purge, photo_id, other) == SEGMENTS


async def test_a_claim_goes_back_once_the_registry_is_there_again(purge: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    photo_id, me, other = await parked(purge)
    registry, attempts = purge.core.registry, 0
    give_back = registry.return_claim

    async def away(*args: Any) -> Any:
        raise Unavailable("REGISTRY_UNAVAILABLE", "Away.")

    async def away_once(*args: Any) -> Any:
        nonlocal attempts
        attempts += 1
        return await (away if attempts == 1 else give_back)(*args)

    monkeypatch.setattr(registry, "segment", away)
    monkeypatch.setattr(registry, "return_claim", away_once)
    with pytest.raises(Unavailable):
        await purge.core.parking.claim(photo_id, me)
    monkeypatch.setattr(registry, "segment", type(registry).segment.__get__(registry))
    await eventually(lambda: state(purge, photo_id) is State.PARKED)
    assert attempts == 2
    assert await taken(purge, photo_id, other) == SEGMENTS


async def test_a_caller_that_comes_again_keeps_its_claim_whatever_becomes_of_its_first_call(purge: Desk) -> None:
    photo_id, me, other = await parked(purge)
    assert await taken(purge, photo_id, me) == SEGMENTS
    again = asyncio.create_task(purge.core.parking.claim(photo_id, me))
    await asyncio.sleep(0)
    again.cancel()
    with pytest.raises(asyncio.CancelledError):
        await again
    with pytest.raises(NotFound):
        await taken(purge, photo_id, other)
    assert await taken(purge, photo_id, me, 2) == SEGMENTS[2:]


async def test_only_its_claimant_is_known_to_have_claimed_it(purge: Desk) -> None:
    photo_id, me, other = await parked(purge)
    parking = purge.core.parking
    with pytest.raises(NotFound):
        await parking.require_claimed(photo_id, me)
    await taken(purge, photo_id, me)
    await parking.require_claimed(photo_id, me)
    strangers = [other, dataclasses.replace(me, secret=b"wrong"), dataclasses.replace(me, owners=["0" * 32])]
    for stranger in strangers:
        with pytest.raises(MeshError) as refused:
            await parking.require_claimed(photo_id, stranger)
        assert refused.value.reason == "PHOTO_NOT_FOUND"


async def test_fifty_at_once_and_each_comes_again(purge: Desk) -> None:
    photo_id, me, _ = await parked(purge)
    everybody = [dataclasses.replace(me, claimant=f"{n:032x}") for n in range(50)]
    for again in (False, True):
        calls = [purge.core.parking.claim(photo_id, who) for who in everybody]
        replies = await asyncio.gather(*calls, return_exceptions=True)
        [won] = [reply for reply in replies if not isinstance(reply, NotFound)]
        assert not isinstance(won, BaseException)
        assert isinstance(won.claimed, Claimed)
        assert (won.claimed.again, won.first) == (again, SEGMENTS[0])


def state(purge: Desk, photo_id: str) -> State | None:
    entry = purge.core.book.get(photo_id)
    return entry.lease.state if entry else None
