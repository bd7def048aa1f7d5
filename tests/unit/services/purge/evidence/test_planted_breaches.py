"""Each thing that the page looks at is spoilt for real, in a real Redis and a real log, and seen to be broken."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from mesh.testing.valkey import ValkeyServer
from mesh.transparency.note import Signer
from services.purge import keys
from services.purge.evidence.audits import LastAudit
from services.purge.evidence.lookup import Lookup
from services.purge.evidence.own import SETTLED, Finding, Own, State
from services.purge.ledger import Ledger
from services.purge.log import Log
from services.purge.receipt import Grant, LoggedReceipt, parse_entry
from services.purge.tally import read_fact
from tests.unit.services.purge.desk import ORIGIN, Desk, Holder, desk
from tests.unit.services.purge.world import admin_of
from tests.unit.serving import FakeClock

KEY = Ed25519PrivateKey.generate()
PHOTO = keys.of_photo("ab" * 16)


@dataclass
class Looked:
    """purge with a photo that has ended and all services attending; whoever looks at it; his clock."""

    purge: Desk
    own: Own
    clock: FakeClock
    admin: Any

    async def finds(self, rule: str) -> Finding:
        """After another look at Redis, and long enough for a difference to count."""
        await self.purge.core.attestation.look()
        self.own.look()
        self.clock.advance(SETTLED + 0.1)
        return self.own.look()[rule]


@pytest.fixture
async def looked(own_valkey: ValkeyServer, tmp_path: Path) -> AsyncIterator[Looked]:
    clock = FakeClock()
    async with desk(own_valkey.url, tmp_path / "log") as purge:
        for service in ("gateway", "ingest", "render"):
            await Holder(purge.core, service).connect()
        grant = await purge.grant()
        await purge.core.endings.revoke(grant.photo_id, "requested")
        await purge.log.integrate()
        own = Own(purge.core, LastAudit(purge.core.ledger), {"seccomp": True}, clock)
        yield Looked(purge, own, clock, admin_of(own_valkey))


@pytest.mark.parametrize("rule", ["R2", "R3", "R4", "R6", "R8"])
async def test_nothing_is_found_where_nothing_is(looked: Looked, rule: str) -> None:
    assert (await looked.finds(rule)).state is State.KEPT


@pytest.mark.parametrize(
    ("plant", "rule", "said"),
    [
        (lambda admin: admin.set(PHOTO.lease, b"x"), "R2", "have no TTL"),
        (lambda admin: admin.set(PHOTO.lease, b"x", ex=86_400), "R2", "outlive what they are for"),
        (lambda admin: admin.set("somebody:else", b"x", ex=60), "R2", "are not Mayfly's"),
        (lambda admin: admin.set(PHOTO.parked, b"\xff\xd8\xff\xe0" + os.urandom(900), ex=60), "R2", "not ciphertext"),
        (lambda admin: admin.config_set("save", "3600 1"), "R3", "CONFIG 'save'"),
        (lambda admin: admin.config_set("appendonly", "yes"), "R3", "CONFIG 'appendonly'"),
        (lambda admin: admin.save(), "R3", "snapshot was written"),
    ],
)
async def test_redis(looked: Looked, plant: Callable[[Any], object], rule: str, said: str) -> None:
    await looked.purge.core.attestation.look()
    plant(looked.admin)
    found = await looked.finds(rule)
    assert (found.state, said in found.sentence) == (State.BROKEN, True), found
    assert (await looked.finds("R8")).sentence.endswith("no photo is admitted until it is.")


async def test_a_grant_that_nobody_knows_of_and_a_second_receipt(looked: Looked) -> None:
    log = looked.purge.log
    lost = Grant("ab" * 16, 1_900_000_000).to_entry()
    await log.append(lost, read_fact(lost))
    found = await looked.finds("R6")
    assert (found.state, found.sentence) == (State.BROKEN, "2 admitted ≠ 0 live + 1 ended.")
    receipt = next(entry for entry in log.iterate() if isinstance(parse_entry(entry), LoggedReceipt))
    for _ in range(2):
        await log.append(receipt, read_fact(receipt))
    found = await looked.finds("R6")
    assert (found.state, found.sentence) == (State.BROKEN, "2 admitted ≠ 0 live + 3 ended.")


@pytest.mark.parametrize("tiles", ["entries", "0"])
@pytest.mark.parametrize(
    "changed", [lambda data: data[:-9] + bytes([data[-9] ^ 1]) + data[-8:], lambda data: data[:99]]
)
async def test_an_entry_or_a_hash_that_was_changed_is_not_shown_with_a_proof(
    tiles: str, changed: Callable[[bytes], bytes], tmp_path: Path
) -> None:
    """tiles: the folder of those that are changed: entries, or the hashes of the lowest level."""
    log = Log.open(tmp_path, origin=ORIGIN, signer=Signer(ORIGIN, KEY), clock=FakeClock())
    await log.append_many([Grant(f"{number:032x}", 1_900_000_000).to_entry() for number in range(300)])
    await log.integrate()
    look = Lookup(Ledger(log, KEY))
    indexes = ("254", "255")  # beside each other, so that one's hash is in the other's proof
    assert all(look.find(index) is not None for index in indexes)
    tile = log.public_directory / "tile" / tiles / "000"
    tile.write_bytes(changed(tile.read_bytes()))
    assert None in [look.find(index) for index in indexes]
    await log.close()
