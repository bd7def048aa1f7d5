"""When the log's head was signed: by the clock of whoever signed it, not by the file's, which witnesses write again."""

from __future__ import annotations

import os
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from mesh.transparency.note import Signer
from mesh.transparency.tiles import CHECKPOINT_PATH
from services.purge.evidence import sections
from services.purge.evidence.checkpoints import Heads
from services.purge.evidence.words import moment
from services.purge.log import Log
from services.purge.receipt import Grant
from tests.unit.serving import FakeClock

ORIGIN = "mayfly.test/log"
SIGNER = Signer(ORIGIN, Ed25519PrivateKey.generate())


async def test_a_head_was_signed_when_it_was_signed(tmp_path: Path) -> None:
    clock = FakeClock()
    log = Log.open(tmp_path, origin=ORIGIN, signer=SIGNER, clock=clock)
    heads, started = Heads(log, []), clock.wall()
    assert heads.newest().signed == started
    clock.advance(40)
    await log.append(Grant("0" * 32, 1_800_000_000).to_entry())
    await log.integrate()
    clock.advance(60)
    os.utime(log.public_directory / CHECKPOINT_PATH, (5.0, 5.0))
    assert (heads.newest().signed, heads.newest().checkpoint.size) == (started + 40, 1)
    await log.cosign(log.checkpoint, b"")
    assert moment(started + 40) in sections.log(heads.newest())
    await log.close()

    clock.advance(60)
    log = Log.open(tmp_path, origin=ORIGIN, signer=SIGNER, clock=clock)
    assert Heads(log, []).newest().signed is None, "nobody has written down when"
    assert "before purge’s last start" in sections.log(Heads(log, []).newest())
    await log.close()


async def test_a_file_that_is_a_moment_ahead_or_gone_is_not_mixed_with_what_was_signed(tmp_path: Path) -> None:
    log = Log.open(tmp_path, origin=ORIGIN, signer=SIGNER, clock=FakeClock())
    heads, path = Heads(log, []), log.public_directory / CHECKPOINT_PATH
    for other in (b"another head", b""):
        path.write_bytes(other)
        assert heads.newest().note == log.checkpoint.decode()
    path.unlink()
    assert heads.newest().note == log.checkpoint.decode()
    path.write_bytes(log.checkpoint)
    await log.close()
