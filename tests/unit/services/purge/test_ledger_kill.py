"""A ledger in a process of its own, with snapshots and a witness, is killed with SIGKILL again and again, on one log.

The witness lives here and outlives the kills: a fork would be refused by it.
"""

from __future__ import annotations

import asyncio
import os
import random
import secrets
import subprocess
import sys
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from mesh.clock import SystemClock
from mesh.testing.witness import WitnessServer
from mesh.transparency.checkpoint import open_checkpoint
from mesh.transparency.merkle import verify_consistency
from mesh.transparency.note import Signer, Verifier, open_note
from mesh.transparency.witness import Witness
from services.purge import ledger as module
from services.purge import witnessing
from services.purge.ledger import Ledger
from services.purge.log import Log
from services.purge.receipt import Grant, Receipt, parse_entry

SIGNER = Signer("mayfly.test/killed", Ed25519PrivateKey.from_private_bytes(b"k" * 32))
KEY = Ed25519PrivateKey.from_private_bytes(b"r" * 32)
ROOT = Path(__file__).parents[4]
KILLS = 8


def tell(*words: object) -> None:
    """One line in one write: it arrives whole or not at all."""
    os.write(1, " ".join(map(str, words)).encode() + b"\n")


def start(directory: Path) -> Ledger:
    log = Log.open(directory, origin=SIGNER.name, signer=SIGNER, clock=SystemClock(), interval=0.0)
    return Ledger(log, KEY)


async def write_until_killed(directory: Path, vkey: str, url: str) -> None:
    module._SNAPSHOT_ENTRIES = 20
    witnessing.PAUSE = 0.0
    ledger = start(directory)
    tell("start", ledger.history().replayed, 0)
    witness = witnessing.Witnessing(ledger.log, [Witness(Verifier.parse(vkey), url)], SystemClock())
    await witness.start()

    async def life() -> None:
        while True:
            photo_ids = [secrets.token_hex(16) for _ in range(3)]
            for photo_id in photo_ids:
                await ledger.admit(photo_id, 2_000)
                tell("granted", photo_id, 0)
            receipts = [Receipt(photo_id, 1_000, "expired", "overdue") for photo_id in photo_ids[:2]]
            for logged in await ledger.issue_many(receipts):
                tell("ended", logged.receipt.photo_id, logged.index)
            tell("answers", witness.answers["refused"], witness.answers["cosigned"])

    await asyncio.gather(*(life() for _ in range(4)))


def test_no_kill_makes_a_false_account_or_a_fork(tmp_path: Path) -> None:
    choose = random.Random(4)
    server = WitnessServer("witness.test/w", [SIGNER.verifier])
    granted, ended, cosigned, replayed = set(), {}, 0, []
    command = [sys.executable, __file__, str(tmp_path / "log"), server.verifier.vkey, server.url]
    for _ in range(KILLS):
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as writer:
            assert writer.stdout is not None
            lines = choose.randint(30, 400)
            for number, line in enumerate(writer.stdout):
                if number == lines:
                    writer.kill()
                what, first, second = line.decode().split()
                if what == "granted":
                    granted.add(first)
                elif what == "ended":
                    ended[first] = int(second)
                elif what == "start":
                    replayed.append(int(first))
                else:
                    assert first == "0", "the witness was shown a fork"
                    cosigned += int(second)
            assert writer.wait() == -9, "the writer ended by itself"
    server.stop()
    asyncio.run(_check(tmp_path / "log", granted, ended))
    assert cosigned and len(granted) > KILLS * 10 and sum(replayed) < len(granted), "snapshots were of use"
    newest = (tmp_path / "log" / "public" / "cosigned").read_bytes()
    assert open_note(newest, [SIGNER.verifier, server.verifier]).unknown == ()


async def _check(directory: Path, granted: set[str], ended: dict[str, int]) -> None:
    ledger = start(directory)
    quick = ledger.history()
    for photo_id, index in ended.items():
        found = ledger.find(photo_id)
        assert found is not None and found.index == index
    (directory / "open").unlink()
    slow = ledger.history()
    assert (dict(quick.open), quick.totals) == (dict(slow.open), slow.totals)
    entries = [parse_entry(entry) for entry in ledger.log.iterate()]
    assert granted <= {entry.photo_id for entry in entries if isinstance(entry, Grant)}
    assert not ended.keys() & quick.open.keys()
    old, new = ((ledger.log.public_directory / name).read_bytes() for name in ("cosigned", "checkpoint"))
    before, now = open_checkpoint(old, SIGNER.verifier), open_checkpoint(new, SIGNER.verifier)
    proof = ledger.log.consistency_proof(before.size)
    verify_consistency(before.size, now.size, proof, before.root, now.root)
    await ledger.log.close()


if __name__ == "__main__":
    asyncio.run(write_until_killed(Path(sys.argv[1]), sys.argv[2], sys.argv[3]))
