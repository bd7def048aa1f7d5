"""The power goes, or the disk fails, at each single write, sync, rename, create and delete that the log makes.

The disk is real; beside it a model keeps what a sync has made durable. After the fault the log starts again from what
a kill leaves (all that was written), from what a power cut leaves at worst (only what was synced), and from mixtures.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import random
import threading
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from mesh.errors import ConfigError, Unavailable
from mesh.transparency.checkpoint import Checkpoint, open_checkpoint
from mesh.transparency.merkle import consistency_proof, verify_consistency
from mesh.transparency.tiles import TileTree
from services.purge.log import Log
from services.purge.log_store import OsFs, encode_frame
from tests.unit.services.purge.test_log import ORIGIN, SIGNER, StandingClock


class Inode:
    """A file's content, as written and as synced."""

    def __init__(self, data: bytes = b"") -> None:
        self.data = bytearray(data)
        self.synced = bytes(data)


class FailingFs(OsFs):
    """The real disk until operation ``fail_at``, of which half happens; then nothing any more.

    ``once``: only that operation fails, like a disk that is full for a moment.
    """

    def __init__(self, root: Path, fail_at: int | None = None, *, once: bool = False) -> None:
        self.operations: list[str] = []
        self.seen: list[bytes] = []  # checkpoints that a reader could have fetched
        self._root = root
        self._fail_at = fail_at
        self._once = once
        self._fds: dict[int, Inode] = {}
        self._now: dict[Path, Inode | None] = {}
        for path in sorted(root.rglob("*")):
            self._now[path] = None if path.is_dir() else Inode(path.read_bytes())
        self._durable = dict(self._now)

    @property
    def failed(self) -> bool:
        return self._fail_at is not None and len(self.operations) > self._fail_at

    def _step(self, name: str) -> None:
        self.operations.append(name)
        number = len(self.operations) - 1
        if self._fail_at is not None and (number == self._fail_at or (number > self._fail_at and not self._once)):
            raise OSError(errno.EIO, "the power is gone")

    def mkdir(self, path: Path) -> None:
        self._step("mkdir")
        super().mkdir(path)
        self._now[path] = None

    def open(self, path: Path, flags: int) -> int:
        self._step("open")
        fd = super().open(path, flags)
        inode = self._now.get(path)
        if inode is None:
            inode = self._now[path] = Inode()
        if flags & os.O_TRUNC:
            inode.data.clear()
        self._fds[fd] = inode
        return fd

    def write(self, fd: int, data: bytes) -> None:
        try:
            self._step("write")
        except OSError:
            if len(self.operations) == (self._fail_at or 0) + 1:
                self._write(fd, data[: len(data) // 2])
            raise
        self._write(fd, data)

    def _write(self, fd: int, data: bytes) -> None:
        super().write(fd, data)
        self._fds[fd].data += data

    def sync(self, fd: int) -> None:
        self._step("sync")  # without the real one, which takes long and changes nothing that the model doesn't know
        self._fds[fd].synced = bytes(self._fds[fd].data)

    def truncate(self, fd: int, size: int) -> None:
        self._step("truncate")
        super().truncate(fd, size)
        del self._fds[fd].data[size:]

    def close(self, fd: int) -> None:
        super().close(fd)  # a dead process has closed everything; it is no step at which the disk could differ

    def rename(self, source: Path, target: Path) -> None:
        self._step("rename")
        super().rename(source, target)
        self._now[target] = self._now.pop(source)
        if target.name == "checkpoint":
            self.seen.append(target.read_bytes())

    def unlink(self, path: Path) -> None:
        self._step("unlink")
        super().unlink(path)
        self._now.pop(path, None)

    def rmdir(self, path: Path) -> None:
        self._step("rmdir")
        super().rmdir(path)
        self._now.pop(path)

    def sync_dir(self, path: Path) -> None:
        self._step("sync_dir")
        assert path.is_dir()
        self._durable = {p: i for p, i in self._durable.items() if p.parent != path}
        self._durable |= {p: i for p, i in self._now.items() if p.parent == path}

    def materialise(self, target: Path, choose: random.Random | None) -> None:
        """Write what survives to ``target``: only what was synced, or with ``choose`` some of the rest too."""
        target.mkdir()
        for path in sorted(self._durable.keys() | self._now.keys()):
            entries = self._durable if choose is None or choose.random() < 0.5 else self._now
            copy = target / path.relative_to(self._root)
            if path not in entries or not copy.parent.is_dir():
                continue
            inode = entries[path]
            if inode is None:
                copy.mkdir()
            else:
                copy.write_bytes(_content(inode, choose))


def _content(inode: Inode, choose: random.Random | None) -> bytes:
    """Synced bytes for certain; of what came after them a part, of which blocks may be zero."""
    rest = bytes(inode.data[len(inode.synced) :]) if bytes(inode.data).startswith(inode.synced) else b""
    if choose is None or not rest:
        return inode.synced
    kept = bytearray(rest[: choose.randint(0, len(rest))])
    if kept and choose.random() < 0.5:
        hole = choose.randint(0, len(kept) - 1)
        kept[: hole + 1] = bytes(hole + 1)
    return inode.synced + bytes(kept)


class Witness:
    """What the outside world knows: acknowledged entries, and every checkpoint that it could have read."""

    def __init__(self) -> None:
        self.acknowledged: dict[int, bytes] = {}
        self.attempted: set[bytes] = set()
        self.checkpoints: list[bytes] = []

    async def append(self, log: Log, entry: bytes) -> None:
        self.attempted.add(entry)
        self.acknowledged[await log.append(entry)] = entry

    def check(self, log: Log) -> None:
        """The log holds every acknowledged entry where it was said to be, none twice, and no checkpoint was forked."""
        entries = list(log.iterate())
        assert {index: entries[index] for index in self.acknowledged} == self.acknowledged
        assert len(set(entries)) == len(entries) == log.size and set(entries) <= self.attempted
        self.checkpoints.append(log.checkpoint)
        check_chain(log, self.checkpoints)


def check_chain(log: Log, notes: list[bytes]) -> None:
    heads = sorted((open_checkpoint(note, SIGNER.verifier) for note in notes), key=lambda head: head.size)
    tree = TileTree(log._store.public.reader, log.integrated_size)
    for old, new in pairwise([*heads, open_checkpoint(log.checkpoint, SIGNER.verifier)]):
        proof = consistency_proof(old.size, new.size, tree.node)
        verify_consistency(old.size, new.size, proof, old.root, new.root)


async def work(directory: Path, fs: OsFs, witness: Witness, word: str, base: int) -> None:
    """Start, cross the edge of a tile with checkpoints on both sides, rotate, close. Ends early when the disk fails."""
    try:
        log = Log.open(directory, origin=ORIGIN, signer=SIGNER, clock=StandingClock(), fs=fs)
    except ConfigError:
        return
    with contextlib.suppress(Unavailable):
        for number, count in enumerate((base, 3, 4, 1, 5)):
            entries = [b"%s/%d/%d" % (word.encode(), number, i) for i in range(count)]
            results = await asyncio.gather(*(witness.append(log, e) for e in entries), return_exceptions=True)
            for result in results:
                if result is not None:
                    raise result
            if number % 2 == 0:
                await log.integrate()
    await log.close()


def recheck(directory: Path, witness: Witness) -> None:
    log = Log.open(directory, origin=ORIGIN, signer=SIGNER, clock=StandingClock(), fs=FailingFs(directory))
    witness.check(log)
    replaced = [path for path in log.public_directory.rglob("*.p") if path.with_suffix("").exists()]
    assert not replaced, "partial tiles go once a full one is there"
    asyncio.run(log.close())


def faults(total: int) -> Iterator[tuple[int, str]]:
    for number in range(total):
        yield number, "power"
        yield number, ("kill", "mixed")[number % 2]


def test_the_model_itself_loses_what_was_not_synced(tmp_path: Path) -> None:
    """The tests below would pass with a model that forgets nothing."""
    root = tmp_path / "disk"
    root.mkdir()
    fs = FailingFs(root)
    fd = fs.open(root / "a", os.O_WRONLY | os.O_CREAT)
    fs.write(fd, b"synced")
    fs.sync(fd)
    fs.materialise(tmp_path / "1", None)
    assert not list((tmp_path / "1").iterdir()), "a name needs its directory's sync"
    fs.sync_dir(root)
    fs.write(fd, b" and not")
    fs.rename(root / "a", root / "b")
    fs.materialise(tmp_path / "2", None)
    assert [(p.name, p.read_bytes()) for p in (tmp_path / "2").iterdir()] == [("a", b"synced")]
    fs.close(fd)


def run_faults(tmp_path: Path, *, fresh: bool) -> int:
    """Fault at every step of a start and its work, then of the recovery after it. Returns the number of cases."""
    root = tmp_path / "reference"
    root.mkdir()
    start = Witness()
    if not fresh:
        asyncio.run(work(root / "log", OsFs(), start, "before", 230))
    dry = FailingFs(root)
    dry_root = tmp_path / "dry"
    dry.materialise(dry_root, None)
    dry = FailingFs(dry_root)
    asyncio.run(work(dry_root / "log", dry, Witness(), "dry", 10))
    reference = FailingFs(root)
    cases = list(faults(len(dry.operations)))
    for case, (number, kind) in enumerate(cases):
        choose = random.Random(case)
        disk, witness = tmp_path / f"{case}", Witness()
        witness.acknowledged, witness.attempted = dict(start.acknowledged), set(start.attempted)
        reference.materialise(disk, None)
        for attempt, fail_at in enumerate((number, choose.randint(0, 40))):
            fs = FailingFs(disk, fail_at)
            asyncio.run(work(disk / "log", fs, witness, f"{case}.{attempt}", 10))
            witness.checkpoints += fs.seen
            if kind != "kill":
                after = tmp_path / f"{case}.{attempt}"
                fs.materialise(after, choose if kind == "mixed" else None)
                disk = after
        try:
            recheck(disk / "log", witness)
        except BaseException:
            print(f"operation {number} ({[*dry.operations, 'none'][number]}), {kind}, in {disk}")  # noqa: T201
            raise
    return len(cases)


def test_a_fault_at_every_step_of_a_fresh_log(tmp_path: Path) -> None:
    assert run_faults(tmp_path, fresh=True) > 100


def test_a_fault_at_every_step_around_the_edge_of_a_tile(tmp_path: Path) -> None:
    assert run_faults(tmp_path, fresh=False) > 100


@pytest.mark.parametrize("operation", ["open", "write", "rename", "sync", "sync_dir"])
async def test_a_disk_that_fails_once_loses_nothing_that_was_acknowledged(tmp_path: Path, operation: str) -> None:
    """Each operation of that kind fails once, while the log goes on: full for a moment, or a sync that reports EIO."""
    dry = FailingFs(tmp_path)
    await work(tmp_path / "dry", dry, Witness(), "dry", 10)
    for number in [i for i, name in enumerate(dry.operations) if name == operation]:
        root, witness = tmp_path / f"{number}", Witness()
        root.mkdir()
        fs = FailingFs(root, number, once=True)
        try:
            log = Log.open(root / "log", origin=ORIGIN, signer=SIGNER, clock=StandingClock(), fs=fs)
        except ConfigError:
            continue
        for i in range(30):
            with contextlib.suppress(Unavailable):
                await witness.append(log, b"%d" % i)
            with contextlib.suppress(Unavailable):
                if i % 4 == 0:
                    await log.integrate()
        await log.close()
        witness.checkpoints = fs.seen
        log = Log.open(root / "log", origin=ORIGIN, signer=SIGNER, clock=StandingClock())
        witness.check(log)
        assert fs.failed
        await log.close()


async def test_after_a_failed_sync_nothing_is_acknowledged_any_more(tmp_path: Path) -> None:
    """The kernel reports a lost page once; a second sync that succeeds would prove nothing."""

    class FailingSync(OsFs):
        broken = threading.Event()
        failing = threading.Event()
        proceed = threading.Event()

        def sync(self, fd: int) -> None:
            if self.broken.is_set():
                self.broken.clear()
                self.failing.set()
                assert self.proceed.wait(10)
                raise OSError(errno.EIO, "lost page")
            super().sync(fd)

    fs = FailingSync()
    log = Log.open(tmp_path / "log", origin=ORIGIN, signer=SIGNER, clock=StandingClock(), fs=fs)
    await log.append(b"good")
    await log.integrate()
    fs.broken.set()
    failing = asyncio.create_task(log.append(b"bad"))
    await asyncio.to_thread(fs.failing.wait, 10)
    queued = [asyncio.create_task(log.append(b"queued behind it")) for _ in range(3)]
    await asyncio.sleep(0)
    fs.proceed.set()
    for task in (failing, *queued, asyncio.create_task(log.append(b"later"))):
        with pytest.raises(Unavailable):
            await task
    assert log.size == 1
    await log.close()


async def test_a_full_disk_heals(tmp_path: Path) -> None:
    """A failed write is cut off again, so that the next frame follows an intact one."""

    class FullFs(OsFs):
        full = False

        def write(self, fd: int, data: bytes) -> None:
            if self.full:
                super().write(fd, data[:7])
                raise OSError(errno.ENOSPC, "full")
            super().write(fd, data)

    fs = FullFs()
    log = Log.open(tmp_path / "log", origin=ORIGIN, signer=SIGNER, clock=StandingClock(), fs=fs)
    assert await log.append(b"one") == 0
    await log.integrate()
    fs.full = True
    for _ in range(2):
        with pytest.raises(Unavailable, match="LOG_DISK"):
            await log.append(b"lost")
    fs.full = False
    assert await log.append(b"two") == 1
    left = b"".join(path.read_bytes() for path in sorted((tmp_path / "log" / "journal").iterdir()))
    assert left == encode_frame(0, [b"one"]) + encode_frame(1, [b"two"]), "no half frame is left behind"
    fs.full = True
    with pytest.raises(Unavailable):
        await log.integrate()
    waiting = asyncio.create_task(log.wait_integrated(1))
    await asyncio.sleep(0)
    fs.full = False
    await log.integrate()
    await waiting
    assert open_checkpoint(log.checkpoint, SIGNER.verifier).size == 2
    await log.close()


def test_checkpoints_of_a_forked_tree_would_be_noticed(tmp_path: Path) -> None:
    """The check behind the tests above can fail."""
    log = Log.open(tmp_path / "log", origin=ORIGIN, signer=SIGNER, clock=StandingClock())
    asyncio.run(_append(log))
    fork = SIGNER.sign(Checkpoint(ORIGIN, 1, b"f" * 32).text())
    with pytest.raises(ValueError, match="consistency"):
        check_chain(log, [fork])


async def _append(log: Log) -> None:
    await log.append(b"a")
    await log.append(b"b")
    await log.close()
