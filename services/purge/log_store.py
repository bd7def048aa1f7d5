"""The log on disk. No other module writes a file of it.

    <dir>/lock                      held with flock by the one writer
    <dir>/journal/<number>          entries that are durable and not yet under a checkpoint, in frames
    <dir>/public/checkpoint         the newest signed checkpoint
    <dir>/public/cosigned           the newest one that witnesses have cosigned, if there are witnesses
    <dir>/public/tile/...           C2SP tlog-tiles; ``public`` may be served as static files
    <dir>/open                      what a start needs to know of the entries (snapshot.py); may be missing
    <dir>/keys                      the public keys that have ever signed here (key_ring.py)
    <dir>/tmp/                      files being written; emptied at start

A frame is one group commit: magic, index of its first entry, number of bytes, SHA-256 over these and the body cut to
16 bytes, then the body (an entry bundle). A frame is written only after the one before it was synced.
Directories are 0700, files 0600. OSError is raised as it comes; ConfigError means that a person has to look.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import struct
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from mesh.errors import ConfigError
from mesh.transparency.errors import VerificationError
from mesh.transparency.tiles import (
    CHECKPOINT_PATH,
    WIDTH,
    DirectoryReader,
    File,
    count_at,
    decode_bundle,
    encode_bundle,
    entries_path,
    tile_path,
)

_MAGIC = b"MFJ1"
_HEAD = struct.Struct(">4sQI")
_DIGEST = 16


class Fs(Protocol):
    """Each way in which the log changes the disk: the seam at which a test makes the disk fail or the power go."""

    def mkdir(self, path: Path) -> None: ...

    def open(self, path: Path, flags: int) -> int: ...

    def write(self, fd: int, data: bytes) -> None: ...

    def sync(self, fd: int) -> None: ...

    def truncate(self, fd: int, size: int) -> None: ...

    def close(self, fd: int) -> None: ...

    def rename(self, source: Path, target: Path) -> None: ...

    def unlink(self, path: Path) -> None: ...

    def rmdir(self, path: Path) -> None: ...

    def sync_dir(self, path: Path) -> None: ...


class OsFs:
    """The operating system's own."""

    def mkdir(self, path: Path) -> None:
        path.mkdir(mode=0o700)

    def open(self, path: Path, flags: int) -> int:
        return os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)

    def write(self, fd: int, data: bytes) -> None:
        """All of ``data``: os.write may stop early, on a full disk for one."""
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view) :]

    def sync(self, fd: int) -> None:
        os.fdatasync(fd)

    def truncate(self, fd: int, size: int) -> None:
        os.ftruncate(fd, size)

    def close(self, fd: int) -> None:
        os.close(fd)

    def rename(self, source: Path, target: Path) -> None:
        source.rename(target)

    def unlink(self, path: Path) -> None:
        path.unlink(missing_ok=True)

    def rmdir(self, path: Path) -> None:
        path.rmdir()

    def sync_dir(self, path: Path) -> None:
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


class Frame(NamedTuple):
    """first: the index of entries[0] in the log."""

    first: int
    entries: list[bytes]


def encode_frame(first: int, entries: Sequence[bytes]) -> bytes:
    """Raises ValueError for an entry that no bundle can hold."""
    body = encode_bundle(entries)
    head = _HEAD.pack(_MAGIC, first, len(body))
    return head + _digest(head, body) + body


def decode_frames(data: bytes) -> Iterator[Frame]:
    """The intact frames in ``data``, skipping whatever lies between them.

    A torn tail simply has no frame after it. A damaged frame in the middle leaves a gap in the indices, and that is
    how the reader notices it.
    """
    at = data.find(_MAGIC)
    while at >= 0:
        end, frame = _decode_frame(data, at)
        if frame is not None:
            yield frame
        at = data.find(_MAGIC, end)


def _decode_frame(data: bytes, at: int) -> tuple[int, Frame | None]:
    begin = at + _HEAD.size + _DIGEST
    if begin > len(data):
        return at + 1, None
    head = data[at : at + _HEAD.size]
    _, first, length = _HEAD.unpack(head)
    body = data[begin : begin + length]
    if _digest(head, body) != data[at + _HEAD.size : begin]:
        return at + 1, None
    try:
        return begin + length, Frame(first, decode_bundle(body))
    except VerificationError:
        return at + 1, None


def _digest(head: bytes, body: bytes) -> bytes:
    return hashlib.sha256(head + body).digest()[:_DIGEST]


class Journal:
    """Durable entries in the order of their indices.

    ``append`` belongs to one thread, ``rotate`` and ``drop`` to one other; ``recover`` and ``start`` come before both.
    """

    def __init__(self, directory: Path, fs: Fs) -> None:
        self._directory = directory
        self._fs = fs
        self._lock = threading.Lock()
        self._spare: tuple[Path, int] | None = None
        self._sealed: deque[tuple[Path, int]] = deque()
        self._path, self._fd, self._length = directory, -1, 0
        self._next_number = 0
        self.size = 0
        self.oldest = 0
        self.broken = False

    def recover(self, integrated: int) -> list[bytes]:
        """The durable entries from index ``integrated`` on. ``oldest`` is then the first index that is still here.

        Raises ConfigError when some are missing in between: only the last frame can be torn by a crash.
        """
        entries: list[bytes] = []
        self.oldest = integrated
        for path in self._segments():
            self._next_number = int(path.name) + 1
            for first, batch in decode_frames(path.read_bytes()):
                self.oldest = min(self.oldest, first)
                expected = integrated + len(entries)
                if first + len(batch) <= integrated:
                    continue
                if first > expected or (first < expected and entries):
                    raise ConfigError(f"The log's journal {path} is damaged before entry {first}; restore it.")
                entries += batch[expected - first :]
        return entries

    def start(self, size: int) -> None:
        """Begin a segment at index ``size``, when all entries below are published, and forget the older ones."""
        old = self._segments()
        self.size = size
        self._path, self._fd = self._create()
        for path in old:
            self._fs.unlink(path)
        self._fs.sync_dir(self._directory)

    def append(self, entries: Sequence[bytes]) -> int:
        """Write and sync ``entries`` in one frame; returns the index of the first.

        Raises OSError. When it was the sync that failed, nobody knows what the disk holds: ``broken`` is set then.
        """
        if self.broken:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        self._switch()
        frame = encode_frame(self.size, entries)
        try:
            self._fs.write(self._fd, frame)
        except OSError:
            self._cut()
            raise
        try:
            self._fs.sync(self._fd)
        except OSError:
            self.broken = True
            raise
        first = self.size
        self._length += len(frame)
        self.size += len(entries)
        return first

    def rotate(self) -> None:
        """Let the next append begin a new segment, which is created here so that no caller waits for it."""
        with self._lock:
            ready = self._spare is not None
        if not ready:
            spare = self._create()
            with self._lock:
                self._spare = spare

    def drop(self, integrated: int) -> None:
        """Delete sealed segments whose entries are all published. The deletion itself need not be durable."""
        while self._sealed and self._sealed[0][1] <= integrated:
            self._fs.unlink(self._sealed[0][0])
            self._sealed.popleft()

    def close(self) -> None:
        fds = [self._fd] if self._spare is None else [self._fd, self._spare[1]]
        for fd in fds:
            with contextlib.suppress(OSError):
                self._fs.close(fd)

    def _switch(self) -> None:
        with self._lock:
            spare, self._spare = self._spare, None
        if spare is None:
            return
        old = self._fd
        self._sealed.append((self._path, self.size))
        self._path, self._fd = spare
        self._length = 0
        self._fs.close(old)

    def _cut(self) -> None:
        """Remove half a frame after a failed write, so that the next frame follows an intact one."""
        try:
            self._fs.truncate(self._fd, self._length)
        except OSError:
            self.broken = True

    def _create(self) -> tuple[Path, int]:
        path = self._directory / f"{self._next_number:012d}"
        self._next_number += 1
        fd = self._fs.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL)
        try:
            self._fs.sync_dir(self._directory)
        except OSError:
            self._fs.close(fd)
            raise
        return path, fd

    def is_empty(self) -> bool:
        """Whether this directory has never held a segment: one exists from the first start on."""
        return not self._segments()

    def _segments(self) -> list[Path]:
        return sorted(path for path in self._directory.iterdir() if path.name.isdecimal())


class PublicTree:
    """The files that readers see. Each appears whole, by rename; none is ever changed but the checkpoint."""

    def __init__(self, root: Path, fs: Fs) -> None:
        self.directory = root / "public"
        self.reader = DirectoryReader(self.directory)
        self._tmp = root / "tmp"
        self._fs = fs
        self._unsynced: set[Path] = set()

    def prepare(self) -> None:
        """Create what is missing and remove what a crash left half-written."""
        for directory in (self.directory, self._tmp):
            self._mkdir(directory)
        for leftover in self._tmp.iterdir():
            self._fs.unlink(leftover)
        self._sync_dirs()

    def checkpoint(self) -> bytes | None:
        """The signed checkpoint, or None in a log that has never had one."""
        try:
            return self.reader.read(CHECKPOINT_PATH)
        except FileNotFoundError:
            return None

    def is_empty(self) -> bool:
        return not any(self.directory.iterdir())

    def publish(self, files: Iterable[File], checkpoint: bytes) -> None:
        """Make ``files`` durable, and only then the checkpoint that needs them."""
        for file in files:
            self._write(file)
        self._sync_dirs()
        self._write(File(CHECKPOINT_PATH, checkpoint))
        self._sync_dirs()

    def replace(self, file: File) -> None:
        """Make one file durable, in place of its former self."""
        self._write(file)
        self._sync_dirs()

    def remove_partials(self, old: int, new: int) -> None:
        """Delete the partial tiles that full ones replaced as the tree grew from ``old`` to ``new`` leaves.

        The specification allows it, and without it the log would take over a hundred times its size.
        Durable on return: the journal may go after this, and with it the knowledge of what was left to delete.
        """
        level = 0
        while count_at(level, new):
            for index in range(count_at(level, old) // WIDTH, count_at(level, new) // WIDTH):
                paths = [tile_path(level, index), entries_path(index)] if level == 0 else [tile_path(level, index)]
                for path in paths:
                    self._remove_tree(self.directory / f"{path}.p")
            level += 1
        self._sync_dirs()

    def _remove_tree(self, directory: Path) -> None:
        if directory.is_dir():
            for path in directory.iterdir():
                self._fs.unlink(path)
            self._fs.rmdir(directory)
            self._unsynced.add(directory.parent)

    def _write(self, file: File) -> None:
        temporary = self._tmp / "file"
        target = self.directory / file.path
        self._mkdir(target.parent)
        fd = self._fs.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        try:
            self._fs.write(fd, file.data)
            self._fs.sync(fd)
        finally:
            self._fs.close(fd)
        self._fs.rename(temporary, target)
        self._unsynced.add(target.parent)

    def _mkdir(self, directory: Path) -> None:
        if not directory.is_dir():
            self._mkdir(directory.parent)
            self._fs.mkdir(directory)
            self._unsynced.add(directory.parent)

    def _sync_dirs(self) -> None:
        """A directory whose sync failed stays on the list, so that a later checkpoint can't overtake it."""
        for directory in sorted(self._unsynced):
            self._fs.sync_dir(directory)
            self._unsynced.discard(directory)


class LogStore:
    """The log's directory, held by one writer."""

    def __init__(self, directory: Path, fs: Fs) -> None:
        """Takes the lock. Raises ConfigError when another writer holds it, or the directory can't be written."""
        self._fs = fs
        self._directory = directory
        try:
            for path in (directory, directory / "journal"):
                if not path.is_dir():
                    path.parent.mkdir(parents=True, exist_ok=True)
                    fs.mkdir(path)
                    fs.sync_dir(path.parent)
            self._lock = _take_lock(directory / "lock", fs)
        except OSError as error:
            raise ConfigError(f"The log's directory {directory} can't be written: {error.strerror}.") from error
        self.journal = Journal(directory / "journal", fs)
        self.public = PublicTree(directory, fs)

    def read_side(self, name: str) -> bytes | None:
        """A file beside the log; None if there is none, or it can't be read."""
        try:
            return (self._directory / name).read_bytes()
        except OSError:
            return None

    def write_side(self, name: str, data: bytes) -> None:
        """Replaces it, durably and at once. One thread per name. Raises OSError."""
        temporary = self._directory / "tmp" / name
        fd = self._fs.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        try:
            self._fs.write(fd, data)
            self._fs.sync(fd)
        finally:
            self._fs.close(fd)
        self._fs.rename(temporary, self._directory / name)
        self._fs.sync_dir(self._directory)

    def close(self) -> None:
        """Gives the lock back."""
        self.journal.close()
        with contextlib.suppress(OSError):
            self._fs.close(self._lock)


def _take_lock(path: Path, fs: Fs) -> int:
    fd = fs.open(path, os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        fs.close(fd)
        raise ConfigError(f"Another process writes the log in {path.parent}; a log has one writer.") from error
    return fd
