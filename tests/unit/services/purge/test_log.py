"""The log on a real disk: durable, in order, provable, and one writer only."""

from __future__ import annotations

import asyncio
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mesh.errors import ConfigError, Unavailable
from mesh.transparency.checkpoint import open_checkpoint
from mesh.transparency.merkle import leaf_hash, verify_consistency, verify_inclusion
from mesh.transparency.note import Signer
from mesh.transparency.replay import replay
from mesh.transparency.tiles import DirectoryReader
from services.purge.log import Log
from services.purge.log_store import OsFs
from tests.unit.serving import FakeClock

ORIGIN = "mayfly.test/log"
SIGNER = Signer(ORIGIN, Ed25519PrivateKey.from_private_bytes(b"l" * 32))


class StandingClock:
    """Time stands still, so that after the first integration nothing happens unless it is asked for."""

    def wall(self) -> float:
        return 0.0

    def monotonic(self) -> float:
        return 0.0

    async def sleep(self, seconds: float) -> None:
        await asyncio.Event().wait()


class GatedFs(OsFs):
    """``gate``, when closed, holds every sync back; ``waiting`` tells that one is being held."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.waiting = threading.Event()

    def sync(self, fd: int) -> None:
        self.waiting.set()
        assert self.gate.wait(10)
        super().sync(fd)


def open_log(directory: Path, **options: object) -> Log:
    return Log.open(directory, origin=ORIGIN, signer=SIGNER, clock=StandingClock(), **options)  # type: ignore[arg-type]


def entries(count: int, word: str = "entry") -> list[bytes]:
    return [b"%s %d" % (word.encode(), i) for i in range(count)]


async def append_all(log: Log, items: list[bytes]) -> list[int]:
    return list(await asyncio.gather(*(log.append(item) for item in items)))


async def test_appended_entries_keep_their_order_and_come_back(tmp_path: Path) -> None:
    log = open_log(tmp_path / "log")
    items = entries(700)
    assert await append_all(log, items) == list(range(700))
    assert (log.size, log.appended) == (700, 700)
    assert list(log.iterate()) == items
    await log.integrate()
    assert log.integrated_size == 700
    assert await log.append(b"after") == 700
    assert list(log.iterate()) == [*items, b"after"]
    assert [log.entry(i) for i in (0, 255, 256, 699, 700)] == [items[0], items[255], items[256], items[699], b"after"]
    for start in (1, 255, 256, 300, 512, 699, 700, 701, 5000):
        assert list(log.iterate(start)) == [*items, b"after"][start:]
    for index in (-1, 701):
        with pytest.raises(IndexError):
            log.entry(index)
    await log.close()


async def test_a_closed_log_opens_where_it_ended(tmp_path: Path) -> None:
    log = open_log(tmp_path / "log")
    await append_all(log, entries(300))
    await log.close()
    assert log.integrated_size == 300
    before = log.checkpoint
    log = open_log(tmp_path / "log")
    assert (log.size, log.integrated_size, log.checkpoint) == (300, 300, before)
    assert await log.append(b"more") == 300
    await log.close()


async def test_every_entry_is_provable_under_the_newest_checkpoint(tmp_path: Path) -> None:
    log = open_log(tmp_path / "log")
    heads = [open_checkpoint(log.checkpoint, SIGNER.verifier)]
    items: list[bytes] = []
    for step in (1, 254, 1, 1, 300):
        items += (more := entries(step, f"step {step}"))
        await append_all(log, more)
        await log.integrate()
        head = open_checkpoint(log.checkpoint, SIGNER.verifier)
        assert head.size == len(items) == log.integrated_size
        for index in {0, len(items) // 2, len(items) - 1}:
            proof = log.prove(index)
            assert list(proof.hashes) == log.inclusion_proof(index) and proof.checkpoint == log.checkpoint
            verify_inclusion(leaf_hash(items[index]), index, head.size, proof.hashes, head.root)
        for earlier in heads:
            consistency = log.consistency_proof(earlier.size)
            verify_consistency(earlier.size, head.size, consistency, earlier.root, head.root)
        heads.append(head)
    assert list(replay(DirectoryReader(log.public_directory), heads[-1], heads[2])) == items
    with pytest.raises(IndexError):
        log.prove(len(items))
    await log.close()


async def test_a_cancelled_caller_disturbs_nobody(tmp_path: Path) -> None:
    fs = GatedFs()
    log = open_log(tmp_path / "log", fs=fs)
    fs.gate.clear()
    fs.waiting.clear()
    in_flight = asyncio.create_task(log.append(b"in flight"))
    await asyncio.to_thread(fs.waiting.wait, 10)
    queued = [asyncio.create_task(log.append(item)) for item in entries(3)]
    await asyncio.sleep(0)
    in_flight.cancel()
    queued[1].cancel()
    await asyncio.wait([in_flight, queued[1]])
    fs.gate.set()
    assert (await queued[0], await queued[2]) == (1, 3)
    assert list(log.iterate()) == [b"in flight", *entries(3)], "what was on its way is in the log, once"
    await log.close()


async def test_callers_during_a_sync_share_the_next_and_the_loop_runs_on(tmp_path: Path) -> None:
    fs = GatedFs()
    log = open_log(tmp_path / "log", fs=fs)
    fs.gate.clear()
    fs.waiting.clear()
    first = asyncio.create_task(log.append(b"first"))
    await asyncio.to_thread(fs.waiting.wait, 10)
    rest = [asyncio.create_task(log.append(item)) for item in entries(500)]
    for _ in range(3):
        await asyncio.sleep(0)  # the loop goes round although the disk hangs
    assert not first.done() and log.size == 0
    durations: list[float] = []
    log.sync_seconds.append(durations.append)
    fs.gate.set()
    await asyncio.gather(first, *rest)
    assert len(durations) == 2, "the first alone, all others together"
    await log.close()


async def test_an_acknowledged_entry_is_in_a_synced_frame(tmp_path: Path) -> None:
    """Nothing but the journal's bytes at the moment of the answer: a second log recovers from them."""
    log = open_log(tmp_path / "log")
    await log.append(b"durable")
    (segment,) = (tmp_path / "log" / "journal").iterdir()
    assert b"durable" in segment.read_bytes()
    await log.close()


async def test_a_second_writer_is_refused_here_and_in_another_process(tmp_path: Path) -> None:
    log = open_log(tmp_path / "log")
    with pytest.raises(ConfigError, match="one writer"):
        open_log(tmp_path / "log")
    other = f"""
import fcntl, os
fd = os.open({str(tmp_path / "log" / "lock")!r}, os.O_RDWR)
try:
    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
except BlockingIOError:
    print("refused")
"""
    done = await asyncio.to_thread(subprocess.run, [sys.executable, "-c", other], capture_output=True, check=True)
    assert done.stdout == b"refused\n"
    await log.close()
    await open_log(tmp_path / "log").close()


async def test_after_a_pause_integration_starts_by_itself(tmp_path: Path) -> None:
    log = open_log(tmp_path / "log")
    index = await log.append(b"one")
    await log.wait_integrated(index)
    assert (log.integrated_size, log.integrated) == (1, 1)
    index = await log.append(b"two")
    waiting = asyncio.create_task(log.wait_integrated(index))
    await log.integrate()
    await waiting
    with pytest.raises(IndexError):
        await log.wait_integrated(2)
    await log.close()


async def test_the_lag_is_how_long_the_oldest_entry_waits_for_a_checkpoint(tmp_path: Path) -> None:
    clock = FakeClock()
    log = Log.open(tmp_path / "log", origin=ORIGIN, signer=SIGNER, clock=clock)
    assert log.lag_seconds == 0
    await log.append(b"one")
    await log.wait_integrated(0)
    assert log.lag_seconds == 0
    await log.append(b"two")  # waits for the interval to pass, which it doesn't
    clock.now += 3
    await log.append(b"three")
    assert log.lag_seconds == 3
    await log.integrate()
    assert log.lag_seconds == 0
    clock.now += 60
    assert log.lag_seconds == 0, "nothing waits"
    await log.close()


async def test_closing_wakes_and_refuses(tmp_path: Path) -> None:
    log = open_log(tmp_path / "log")
    appends = [asyncio.create_task(log.append(item)) for item in entries(5)]
    await asyncio.sleep(0)
    await log.close()
    assert [await task for task in appends] == [0, 1, 2, 3, 4]
    assert log.integrated_size == 5, "what was on its way is finished"
    with pytest.raises(Unavailable):
        await log.append(b"late")
    await log.close()


async def test_an_entry_has_a_size_limit(tmp_path: Path) -> None:
    log = open_log(tmp_path / "log")
    with pytest.raises(ValueError, match="65535"):
        await log.append(b"x" * 65536)
    assert await append_all(log, [b"x" * 65535, b""]) == [0, 1]
    await log.close()
    log = open_log(tmp_path / "log")
    assert list(log.iterate()) == [b"x" * 65535, b""]
    await log.close()


async def test_a_backlog_has_a_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.purge.log_commit.MAX_BACKLOG", 10)
    log = open_log(tmp_path / "log")
    first = asyncio.create_task(log.append(b"x" * 20))
    await asyncio.sleep(0)
    with pytest.raises(Unavailable, match="LOG_BEHIND"):
        await log.append(b"y")
    await first
    await log.integrate()
    assert await log.append(b"y") == 1
    await log.close()


async def test_files_are_private_and_partial_tiles_do_not_pile_up(tmp_path: Path) -> None:
    log = open_log(tmp_path / "log")
    for _ in range(26):
        await append_all(log, entries(10))
        await log.integrate()
    await log.close()
    paths = list((tmp_path / "log").rglob("*"))
    modes = {(path.is_dir(), stat.S_IMODE(path.stat().st_mode)) for path in paths}
    assert modes == {(True, 0o700), (False, 0o600)}
    assert stat.S_IMODE((tmp_path / "log").stat().st_mode) == 0o700
    public = {str(path.relative_to(log.public_directory)) for path in paths if "public" in str(path) and path.is_file()}
    assert public == {
        "checkpoint",
        "tile/0/000",
        "tile/0/001.p/4",
        "tile/1/000.p/1",
        "tile/entries/000",
        "tile/entries/001.p/4",
    }


async def test_the_journal_is_rotated(tmp_path: Path) -> None:
    log = open_log(tmp_path / "log")
    for _ in range(5):
        await append_all(log, [b"x" * 1000] * 20)
        await log.integrate()
    segments = [path.stat().st_size for path in (tmp_path / "log" / "journal").iterdir()]
    assert len(segments) <= 3 and sum(segments) < 2 * 21_000
    await log.close()


async def test_another_key_or_origin_is_refused(tmp_path: Path) -> None:
    log = open_log(tmp_path / "log")
    await log.close()
    stranger = Signer(ORIGIN, Ed25519PrivateKey.from_private_bytes(b"m" * 32))
    with pytest.raises(ConfigError, match="another log"):
        Log.open(tmp_path / "log", origin=ORIGIN, signer=stranger, clock=StandingClock())
    with pytest.raises(ConfigError, match="named like"):
        Log.open(tmp_path / "log", origin="other", signer=SIGNER, clock=StandingClock())
    other = Signer("other", SIGNER.key)
    with pytest.raises(ConfigError, match="another log"):
        Log.open(tmp_path / "log", origin="other", signer=other, clock=StandingClock())
    await open_log(tmp_path / "log").close()


async def _closed_log(directory: Path, count: int) -> Path:
    log = open_log(directory)
    await append_all(log, entries(count))
    await log.close()
    return directory / "public"


@pytest.mark.parametrize("lost", ["checkpoint", "tile/0/001.p/44", "tile/entries/001.p/44", "tile/1/000.p/1"])
async def test_a_lost_file_is_noticed_at_start(tmp_path: Path, lost: str) -> None:
    public = await _closed_log(tmp_path / "log", 300)
    (public / lost).unlink()
    with pytest.raises(ConfigError):
        open_log(tmp_path / "log")


async def test_a_lost_tree_does_not_begin_again_at_zero(tmp_path: Path) -> None:
    public = await _closed_log(tmp_path / "log", 3)
    public.rename(tmp_path / "elsewhere")
    with pytest.raises(ConfigError, match="lost its checkpoint"):
        open_log(tmp_path / "log")


@pytest.mark.parametrize("bent", ["checkpoint", "tile/0/001.p/44", "tile/1/000.p/1"])
async def test_a_changed_byte_is_noticed_at_start(tmp_path: Path, bent: str) -> None:
    public = await _closed_log(tmp_path / "log", 300)
    data = bytearray((public / bent).read_bytes())
    data[-7] ^= 1
    (public / bent).write_bytes(data)
    with pytest.raises(ConfigError):
        open_log(tmp_path / "log")


async def test_a_directory_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"a file")
    with pytest.raises(ConfigError, match="can't be written"):
        open_log(tmp_path / "log")


@settings(deadline=None, max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.sampled_from(["append", "many", "integrate", "reopen"]), max_size=12))
def test_any_order_of_steps_gives_the_same_log(tmp_path_factory: pytest.TempPathFactory, steps: list[str]) -> None:
    directory = tmp_path_factory.mktemp("log")

    async def run() -> None:
        log, expected = open_log(directory / "log"), list[bytes]()
        for number, step in enumerate(steps):
            more = {"append": 1, "many": 130}.get(step, 0)
            items = entries(more, f"step {number}")
            assert await append_all(log, items) == list(range(len(expected), len(expected) + more))
            expected += items
            if step == "integrate":
                await log.integrate()
            if step == "reopen":
                await log.close()
                log = open_log(directory / "log")
            assert list(log.iterate()) == expected
        await log.close()
        head = open_checkpoint(log.checkpoint, SIGNER.verifier)
        assert list(replay(DirectoryReader(log.public_directory), head)) == expected

    asyncio.run(run())
