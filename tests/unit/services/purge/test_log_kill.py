"""A writer in a process of its own is killed with SIGKILL in the middle of its work, again and again, on one log."""

from __future__ import annotations

import asyncio
import base64
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from mesh.clock import SystemClock
from mesh.transparency.checkpoint import open_checkpoint
from mesh.transparency.merkle import consistency_proof, verify_consistency
from mesh.transparency.note import Signer
from mesh.transparency.tiles import DirectoryReader, TileTree
from services.purge.log import Log

ORIGIN = "mayfly.test/killed"
SIGNER = Signer(ORIGIN, Ed25519PrivateKey.from_private_bytes(b"k" * 32))
ROOT = Path(__file__).parents[4]
KILLS = 24


def tell(*words: object) -> None:
    """One line in one write: it arrives whole or not at all."""
    os.write(1, " ".join(map(str, words)).encode() + b"\n")


async def write_until_killed(directory: Path, run: str) -> None:
    log = Log.open(directory, origin=ORIGIN, signer=SIGNER, clock=SystemClock(), interval=0.0)

    async def appender(name: int) -> None:
        for number in range(1_000_000):
            entry = f"{run}/{name}/{number}/".encode() + b"." * (number * 37 % 300)
            index = await log.append(entry)
            tell("ack", index, base64.b64encode(entry).decode())

    async def watcher() -> None:
        for _ in range(1_000_000):
            tell("checkpoint", 0, base64.b64encode(log.checkpoint).decode())
            await log.append(f"{run}/w/{log.size}".encode())
            await log.wait_integrated(log.size - 1)

    await asyncio.gather(watcher(), *(appender(name) for name in range(6)))


def killed_run(directory: Path, run: str, lines: int) -> Iterator[list[bytes]]:
    """Start the writer, kill it after ``lines`` lines, and yield all that it had said by then."""
    command = [sys.executable, __file__, str(directory), run]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as writer:
        assert writer.stdout is not None
        for number, line in enumerate(writer.stdout):
            if number == lines:
                writer.kill()
            yield line.split()
        assert writer.wait() == -9, "the writer ended by itself"


def test_no_kill_loses_an_acknowledged_entry_or_forks_a_checkpoint(tmp_path: Path) -> None:
    choose = random.Random(20)
    acknowledged: dict[int, bytes] = {}
    notes = []
    for kill in range(KILLS):
        for kind, index, data in killed_run(tmp_path / "log", str(kill), choose.randint(1, 300)):
            if kind == b"checkpoint":
                notes.append(base64.b64decode(data))
            else:
                assert acknowledged.setdefault(int(index), base64.b64decode(data)) == base64.b64decode(data)
        notes.append((tmp_path / "log" / "public" / "checkpoint").read_bytes())
    log = Log.open(tmp_path / "log", origin=ORIGIN, signer=SIGNER, clock=SystemClock())
    entries = list(log.iterate())
    assert {index: entries[index] for index in acknowledged} == acknowledged
    assert len(set(entries)) == len(entries)
    _check_chain(log, [*notes, log.checkpoint])
    assert len(acknowledged) > KILLS * 20 and len({*notes}) > KILLS
    asyncio.run(log.close())


def _check_chain(log: Log, notes: list[bytes]) -> None:
    heads = sorted((open_checkpoint(note, SIGNER.verifier) for note in {*notes}), key=lambda head: head.size)
    tree = TileTree(DirectoryReader(log.public_directory), log.integrated_size)
    for old, new in pairwise(heads):
        proof = consistency_proof(old.size, new.size, tree.node)
        verify_consistency(old.size, new.size, proof, old.root, new.root)


if __name__ == "__main__":
    asyncio.run(write_until_killed(Path(sys.argv[1]), sys.argv[2]))
