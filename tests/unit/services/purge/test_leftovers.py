"""What could not be deleted is deleted once, whoever comes to it first."""

from __future__ import annotations

import asyncio
from collections import Counter
from functools import partial
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from services.purge.book import Entry
from services.purge.ledger import Logged
from services.purge.leftovers import Leftovers
from services.purge.receipt import Receipt, sign_receipt
from services.purge.registry import Registry
from tests.unit.services.purge.world import a_grant

KEY = Ed25519PrivateKey.generate()


async def test_a_sweep_in_the_midst_of_many_ends_trips_over_none(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    leftovers, may_go, finish = Leftovers(registry), asyncio.Event(), registry.finish

    async def slowly(*args: Any) -> None:
        await may_go.wait()
        await finish(*args)

    monkeypatch.setattr(registry, "finish", slowly)
    grants = [a_grant() for _ in range(5)]
    ends, gone = [], Counter[str]()
    for grant in grants:
        receipt = Receipt(grant.photo_id, 0, "revoked", "operator")
        entry = Entry(grant.photo_id, grant.expire, 0.0, grant)
        logged = Logged(0, sign_receipt(receipt, KEY))
        counted = partial(gone.update, [grant.photo_id])
        ends.append(asyncio.create_task(leftovers.finish(entry, logged, counted)))
    await asyncio.sleep(0)
    sweep = asyncio.create_task(leftovers.clear())
    await asyncio.sleep(0)
    may_go.set()
    await asyncio.gather(sweep, *ends)
    assert [leftovers.receipt(grant.photo_id) for grant in grants] == [None] * 5
    assert gone == dict.fromkeys((grant.photo_id for grant in grants), 1)
