"""What is in the memory of a process: /proc/PID/maps, pagemap and mem (proc(5), pagemap in the kernel's admin guide).

Reading another's memory takes CAP_SYS_PTRACE once it is not dumpable; with it also what PROT_NONE hides can be read.
"""

from __future__ import annotations

import errno
import os
import threading
from bisect import bisect
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from services.purge.auditor.hunt.words import WINDOW, Bytes

PAGE = os.sysconf("SC_PAGE_SIZE")
CHUNK = 4 << 20  # bytes read at once: enough to make system calls cheap, little enough to stay near the cache
_ENTRY = 8  # bytes of pagemap for each page
_PRESENT_OR_SWAPPED = np.uint64(0b11 << 62)
_KERNELS_OWN = ("[vvar", "[vdso", "[vsyscall", "[uprobes")
_MEMFD, _DELETED = "/memfd:", " (deleted)"
_GONE = (errno.ESRCH, errno.ENOENT)
_UNMAPPED = (errno.EIO, errno.EFAULT, errno.ENOMEM)  # since the map was read; or a device's memory
_PASSES = 4
"""Of a process whose map changes while it is searched: how often the map is read anew."""


class ProcessGone(Exception):
    """The process ended; nothing of it is left to be searched."""


class NotPermitted(Exception):
    """The kernel doesn't let this process read the other's memory."""


@dataclass(frozen=True, slots=True)
class Region:
    """A mapping that the process has of its own or shares. Addresses in bytes; kind: "heap", "stack", "anonymous", or
    the last part of the file's name."""

    begin: int
    end: int
    kind: str


@dataclass(frozen=True, slots=True)
class Chunk:
    """Bytes of one region from ``address`` on; valid until the next chunk is asked for.

    A hole, ``unread`` bytes that the kernel did not give, comes as a chunk without data.
    """

    region: Region
    address: int
    data: Bytes
    unread: int = 0


class _Buffer(threading.local):
    """What memory is read into, one for each thread: nothing of another process's is ever anywhere else."""

    def __init__(self) -> None:
        self.data = np.empty(CHUNK, dtype=np.uint8)


_buffer = _Buffer()


def regions(pid: int) -> list[Region]:
    """All that is writable; whatever its rights are now, also all that no file in a folder backs: anonymous memory,
    memfds, deleted files. Raises ProcessGone, NotPermitted.
    """
    with _explained(pid):
        lines = Path(f"/proc/{pid}/maps").read_text(errors="replace").splitlines()
    return [region for region in map(_parse, lines) if region is not None]


def _parse(line: str) -> Region | None:
    fields = line.split(maxsplit=5)
    addresses, rights, inode, name = fields[0], fields[1], fields[4], fields[5] if len(fields) > 5 else ""
    own = "w" in rights or inode == "0" or name.startswith(_MEMFD) or name.endswith(_DELETED)
    if not own or name.startswith(_KERNELS_OWN):
        return None
    begin, end = (int(number, 16) for number in addresses.split("-"))
    return Region(begin, end, _kind(name))


def _kind(name: str) -> str:
    if not name or name.startswith("[anon"):
        return "anonymous"
    if name.startswith("["):
        return name.strip("[]").split(":")[0]
    return Path(name.removesuffix(_DELETED).split(":")[-1]).name or "anonymous"


def chunks(pid: int) -> Iterator[Chunk]:
    """The pages of all regions that were ever touched. Chunks of a stretch overlap by a window, so that none is cut.

    A process that works on photos unmaps memory while it is searched, and maps other memory: what is not mapped any
    more holds nothing, and what has been mapped since is read as well. A page that is there and can't be read is passed
    over, and said. Raises ProcessGone, NotPermitted.
    """
    buffer = _buffer.data[:CHUNK]
    done: list[tuple[int, int]] = []
    try:
        with _explained(pid), _opened(pid, "mem") as memory, _opened(pid, "pagemap") as pagemap:
            for passed in range(1, _PASSES + 1):
                done.sort()
                found = [part for region in regions(pid) for part in _without(region, done)]
                for region in found:
                    holes: list[tuple[int, int]] = []
                    for begin, end in _touched(pagemap, region):
                        for address, size, unread in _read(memory, begin, end, buffer):
                            if unread and passed < _PASSES:
                                holes.append((address, address + unread))
                            else:
                                yield Chunk(region, address, buffer[:size], unread)
                    done += [(part.begin, part.end) for part in _without(region, holes)]
    finally:
        buffer.fill(0)


def _without(region: Region, known: Sequence[tuple[int, int]]) -> Iterator[Region]:
    """The parts of the region that are not among what is known: stretches in order, none upon another."""
    at = region.begin
    for begin, end in known[max(0, bisect(known, (at, at)) - 1) :]:
        if begin >= region.end:
            break
        if end <= at:
            continue
        if begin > at:
            yield Region(at, begin, region.kind)
        at = end
    if at < region.end:
        yield Region(at, region.end, region.kind)


@contextmanager
def _opened(pid: int, name: str) -> Iterator[int]:
    descriptor = os.open(f"/proc/{pid}/{name}", os.O_RDONLY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _touched(pagemap: int, region: Region) -> list[tuple[int, int]]:
    """Stretches of pages that exist, in memory or in swap."""
    pages = (region.end - region.begin) // PAGE
    entries = np.frombuffer(os.pread(pagemap, pages * _ENTRY, region.begin // PAGE * _ENTRY), dtype="<u8")
    exist = (entries & _PRESENT_OR_SWAPPED) != 0
    edges = np.flatnonzero(np.diff(np.concatenate(([False], exist, [False])).astype(np.int8)))
    return [(region.begin + int(a) * PAGE, region.begin + int(b) * PAGE) for a, b in edges.reshape(-1, 2)]


def _read(memory: int, begin: int, end: int, buffer: Bytes) -> Iterator[tuple[int, int, int]]:
    """Fills the buffer again and again; yields address, bytes read, and bytes that could not be read, each time."""
    while begin < end:
        try:
            size = os.preadv(memory, [buffer[: end - begin].data], begin)
        except OSError as error:
            if error.errno not in _UNMAPPED:
                raise
            after = min(end, begin // PAGE * PAGE + PAGE)
            yield begin, 0, after - begin
            begin = after
            continue
        if size == 0:
            raise ProcessLookupError(errno.ESRCH, os.strerror(errno.ESRCH))  # its address space is gone
        yield begin, size, 0
        begin += size if begin + size >= end or size <= WINDOW else size - WINDOW


@contextmanager
def _explained(pid: int) -> Iterator[None]:
    try:
        yield
    except PermissionError as error:
        raise NotPermitted(f"the memory of process {pid} can't be read without CAP_SYS_PTRACE") from error
    except OSError as error:
        if error.errno in _GONE:
            raise ProcessGone(f"process {pid} has ended") from error
        raise
