"""Keys change while purge runs: what was signed stays verifiable, and what an agent keeps is waited for."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from clients.verify import verify_bundle
from mesh.clock import SystemClock
from mesh.errors import ConfigError, Unavailable
from mesh.testing.wait import eventually
from mesh.transparency.key_list import KeyList
from services.purge.key_ring import KEYS, KeyRing, read_list
from services.purge.ledger import Ledger
from services.purge.log import Log
from services.purge.receipt import Receipt
from services.purge.rotate import main as rotate
from services.purge.signing import LOG_AGENT_FILE, LOG_FILE, RECEIPTS_AGENT_FILE, RECEIPTS_FILE, load_keys
from tests.unit.mesh.transparency.agents import RealAgent, needs_agent, public_line

ORIGIN = "mayfly.test/log"


class World:
    """A ring, its log and its ledger, as wiring puts them together."""

    def __init__(self, folder: Path, *, create: bool = True, agent: Path | None = None) -> None:
        self.keys = folder / "keys"
        clock = SystemClock()
        self.ring = KeyRing(self.keys, read_list(folder / "log", ORIGIN), clock=clock, create=create, agent=agent)
        signer, retired = self.ring.keys.log, self.ring.retired
        self.log = Log.open(folder / "log", origin=ORIGIN, signer=signer, clock=clock, interval=0.02, retired=retired)
        self.ring.keep(self.log)
        self.ledger = Ledger(self.log, self.ring.keys.receipts)
        self.ledger.history()
        self.published = [self.ring.list]
        self.ring.serve(self.ledger, self.published.append)

    async def receipt(self, number: int) -> bytes:
        logged = await self.ledger.issue(
            Receipt(photo_id=f"{number:032x}", ended_time=1_000, outcome="expired", reason="overdue")
        )
        return await self.ledger.bundle(logged, wait=True)


def check(bundle: bytes, keys: KeyList) -> None:
    vkeys = [verifier.vkey for verifier in keys.verifiers]
    assert verify_bundle(bundle, receipt_keys=[p.key for p in keys.receipts], log_vkey=vkeys).logged


async def test_both_keys_change_without_a_stop_and_old_receipts_stay_good(tmp_path: Path) -> None:
    world = World(tmp_path)
    first = await world.receipt(1)
    assert rotate([str(world.keys), "receipts"]) == 0
    await world.ring.reload()
    second = await world.receipt(2)
    before = world.log.checkpoint
    assert rotate([str(world.keys), "log"]) == 0
    await world.ring.reload()
    assert world.log.checkpoint != before, "the checkpoint is signed anew at once"
    third = await world.receipt(3)
    keys = world.published[-1]
    assert len(keys.receipts) == 2 and len(keys.log) == 2 and len(world.published) == 3
    for bundle in (first, second, third):
        check(bundle, keys)
    with pytest.raises(Exception, match="key id"):
        check(second, world.published[0])
    with pytest.raises(Exception, match="trusted key"):
        check(third, world.published[1])
    await world.log.close()
    again = World(tmp_path, create=False)
    assert again.ring.list == keys
    check(await again.receipt(4), keys)
    await again.log.close()


async def test_a_key_that_changed_between_two_runs_is_taken_into_use_at_the_start(tmp_path: Path) -> None:
    world = World(tmp_path)
    first = await world.receipt(1)
    await world.log.close()
    assert rotate([str(world.keys), "log"]) == rotate([str(world.keys), "receipts"]) == 0
    world = World(tmp_path)
    check(first, world.ring.list)
    check(await world.receipt(2), world.ring.list)
    assert [period.not_after is None for period in world.ring.list.log] == [False, True]
    await world.log.close()


async def test_a_lost_key_is_noticed(tmp_path: Path) -> None:
    world = World(tmp_path)
    await world.log.close()
    (world.keys / RECEIPTS_FILE).unlink()
    with pytest.raises(ConfigError, match="can't be read"):
        World(tmp_path)
    assert not (world.keys / RECEIPTS_FILE).exists()


async def test_a_folder_that_is_wrong_leaves_the_old_keys_in_use(tmp_path: Path) -> None:
    world = World(tmp_path)
    (world.keys / LOG_FILE).write_bytes((world.keys / RECEIPTS_FILE).read_bytes())
    with pytest.raises(ConfigError, match="share one key"):
        await world.ring.reload()
    check(await world.receipt(1), world.published[0])
    assert len(world.published) == 1
    await world.log.close()


@pytest.mark.parametrize("content", [b"", b"{}", KeyList("mayfly.test/other").to_json()])
def test_a_list_that_is_not_this_logs_stops_the_start(tmp_path: Path, content: bytes) -> None:
    (tmp_path / KEYS).write_bytes(content)
    with pytest.raises(ConfigError):
        read_list(tmp_path, ORIGIN)


def test_the_command_says_what_is_wrong(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "services.purge.rotate"]
    for arguments, status in (([], 64), ([str(tmp_path), "both"], 64), ([str(tmp_path), "log"], 78)):
        done = subprocess.run([*command, *arguments], capture_output=True, check=False, cwd=Path(__file__).parents[4])
        assert done.returncode == status and done.stderr.count(b"\n") == 1
    load_keys(tmp_path, origin=ORIGIN, create=True)
    done = subprocess.run(
        [*command, str(tmp_path), "log"], capture_output=True, check=True, cwd=Path(__file__).parents[4]
    )
    assert b"SIGHUP" in done.stdout and len(list(tmp_path.iterdir())) == 2


# --- an agent ---

RECEIPTS, CHECKPOINTS = (Ed25519PrivateKey.from_private_bytes(letter * 32) for letter in (b"r", b"c"))


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[RealAgent]:
    running = RealAgent()
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / RECEIPTS_AGENT_FILE).write_bytes(public_line(RECEIPTS))
    (tmp_path / "keys" / LOG_AGENT_FILE).write_bytes(public_line(CHECKPOINTS))
    running.add(RECEIPTS)
    running.add(CHECKPOINTS)
    yield running
    running.close()


@needs_agent
async def test_purge_signs_through_an_agent_and_outlives_its_absence(tmp_path: Path, agent: RealAgent) -> None:
    world = World(tmp_path, agent=agent.socket)
    check(await world.receipt(1), world.ring.list)
    agent.stop()
    with pytest.raises(Unavailable, match="SIGNER_AWAY"):
        await world.receipt(2)
    await world.ledger.admit("ab" * 16, 50)  # durable, although no checkpoint can be signed over it
    await eventually(lambda: world.log.integration_failures > 1)
    agent.start()
    agent.add(RECEIPTS)
    agent.add(CHECKPOINTS)
    check(await world.receipt(2), world.ring.list)
    assert world.log.integrated_size == world.log.size == 3
    await world.log.close()


@needs_agent
async def test_a_start_without_its_agent_is_one_line_if_something_must_be_signed(
    tmp_path: Path, agent: RealAgent
) -> None:
    world = World(tmp_path, agent=agent.socket)
    await world.receipt(1)
    await world.log.close()
    agent.stop()
    again = World(tmp_path, agent=agent.socket)  # the checkpoint that is there is good
    await again.ledger.admit("ab" * 16, 50)
    await again.log.close()
    with pytest.raises(ConfigError, match="does not answer") as refused:
        await asyncio.to_thread(World, tmp_path, agent=agent.socket)
    assert "\n" not in str(refused.value)


def test_which_key_is_meant_must_be_clear(tmp_path: Path) -> None:
    load_keys(tmp_path, origin=ORIGIN, create=True)
    (tmp_path / LOG_AGENT_FILE).write_bytes(public_line(CHECKPOINTS))
    with pytest.raises(ConfigError, match="one of them is too many"):
        load_keys(tmp_path, origin=ORIGIN, agent=tmp_path / "s")
    (tmp_path / LOG_FILE).unlink()
    with pytest.raises(ConfigError, match="MAYFLY_PURGE_KEY_AGENT"):
        load_keys(tmp_path, origin=ORIGIN)
    (tmp_path / LOG_AGENT_FILE).write_bytes(b"ssh-rsa nonsense")
    with pytest.raises(ConfigError, match="OpenSSH"):
        load_keys(tmp_path, origin=ORIGIN, agent=tmp_path / "s")
