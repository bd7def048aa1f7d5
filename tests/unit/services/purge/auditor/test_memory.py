"""What lies in another process's memory is found there, with the kind of memory it lies in."""

from __future__ import annotations

import errno
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest

from services.purge.auditor.hunt import memory, process
from services.purge.auditor.hunt.index import Needle, NeedleIndex
from services.purge.auditor.places.found import Hunted
from services.purge.auditor.places.memory import Memory

_CHUNK = 64 << 10
_NEEDLE = random.Random(1).randbytes(3 * _CHUNK // 2)  # larger than what is read at once
_INDEX = NeedleIndex([Needle("upload", _NEEDLE)])

# The parent makes the same bytes by the same seed, so that they are in no argument and no pipe of the child.
_BEGIN = f"""
import ctypes, mmap, os, random, sys
libc = ctypes.CDLL(None)
def secret(size={len(_NEEDLE)}): return random.Random(1).randbytes(size)
"""
_END = """
print("ready", flush=True)
sys.stdin.read()
"""
_NOT_DUMPABLE = "libc.prctl(4, 0, 0, 0, 0)\n"


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "CHUNK", _CHUNK)


@contextmanager
def _child(code: str) -> Iterator[int]:
    command = [sys.executable, "-c", _BEGIN + code + _END]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdin is not None
        assert child.stdout.readline() == b"ready\n"
        yield child.pid
        child.stdin.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="reading the memory of what is not dumpable takes CAP_SYS_PTRACE")
def test_a_whole_photo_in_a_process_that_is_not_dumpable() -> None:
    with _child(_NOT_DUMPABLE + "kept = [secret()]") as pid:
        found = memory.search(pid, _INDEX)
    assert max(remains.length for remains in found.remains) == len(_NEEDLE)
    assert {remains.what for remains in found.remains} == {"upload"}
    assert found.searched > found.residue >= len(_NEEDLE)


def test_a_process_that_never_saw_it_has_nothing() -> None:
    with _child("") as pid:
        found = memory.search(pid, _INDEX)
    assert (found.remains, found.searched > 1 << 20) == ([], True)


def test_forty_bytes_are_enough_wherever_they_are() -> None:
    code = """
whole = secret()
page = mmap.mmap(-1, 3 * 4096); page[4090:4130] = whole[77:117]
heap = ctypes.create_string_buffer(whole[1001:1041], 200)
descriptor = os.memfd_create("parked")
os.ftruncate(descriptor, 4096)
shared = mmap.mmap(descriptor, 4096)
shared[9:49] = whole[5000:5040]
del whole
"""
    with _child(code) as pid:
        found = memory.search(pid, _INDEX)
    short = {(remains.region, remains.length) for remains in found.remains}
    assert ("parked", 40) in short or ("memfd:parked", 40) in short


def test_what_mprotect_hides_is_found_too() -> None:
    code = """
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
hidden = libc.mmap(None, 65536, 3, 0x22, -1, 0)
ctypes.memmove(hidden + 12345, secret(1000), 1000)
assert libc.mprotect(hidden, 65536, 0) == 0
"""
    with _child(code) as pid:
        found = memory.search(pid, _INDEX)
    assert any(remains.length == 1000 for remains in found.remains)


def test_what_was_there_before_can_be_left_out() -> None:
    with _child("kept = secret(2000)") as pid:
        index = _INDEX.without(memory.learn(pid, _INDEX))
        assert memory.search(pid, index).remains == []
    assert 0 < index.size < _INDEX.size


def test_a_process_that_has_ended_has_no_remains() -> None:
    with _child("") as pid:
        pass
    assert memory.search(pid, _INDEX) == memory.MemorySearch(pid)
    with pytest.raises(process.ProcessGone):
        process.regions(pid)


class _Holey:
    """preadv of a process in which one page can't be read, ``hole``: what is before it is given, then EIO."""

    def __init__(self, hole: int, data: bytes) -> None:
        self.hole = hole
        self.data = data

    def __call__(self, _memory: int, buffers: list[memoryview], address: int) -> int:
        if self.hole <= address < self.hole + process.PAGE:
            raise OSError(errno.EIO, "a hole")
        end = min(len(self.data), address + len(buffers[0]), *([self.hole] if address < self.hole else []))
        buffers[0][: end - address] = self.data[address:end]
        return end - address


@pytest.mark.parametrize("error_at", [0, 3, 16, 39])
def test_what_lies_behind_a_hole_is_read(error_at: int, monkeypatch: pytest.MonkeyPatch) -> None:
    size = 40 * process.PAGE
    data, hole = random.Random(2).randbytes(size), error_at * process.PAGE
    monkeypatch.setattr(process.os, "preadv", _Holey(hole, data))
    buffer = np.empty(process.CHUNK, np.uint8)
    seen, unread = bytearray(size), 0
    for address, got, missing in process._read(0, 0, size, buffer):
        seen[address : address + got] = buffer[:got].tobytes()
        unread += missing
    assert unread == process.PAGE
    assert bytes(seen) == data[:hole] + bytes(process.PAGE) + data[hole + process.PAGE :]


_MOVING = """
first = mmap.mmap(-1, 64 << 20); first.write(b"x" * (64 << 20))
print("ready", flush=True)
sys.stdin.readline()
second = mmap.mmap(-1, 32 << 20); second.write(secret()); second.write(b"x" * (16 << 20))
first.close()
print("moved", flush=True)
"""


def test_what_a_working_process_unmaps_is_not_unread_and_what_it_maps_is_searched(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    touched, moved = process._touched, list[bytes]()
    command = [sys.executable, "-c", _BEGIN + _MOVING + _END]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        told, says = child.stdin, child.stdout
        assert told is not None
        assert says is not None
        assert says.readline() == b"ready\n"

        def then_moves(pagemap: int, region: process.Region) -> list[tuple[int, int]]:
            """It moves once it is known which pages there are."""
            found = touched(pagemap, region)
            if region.end - region.begin >= 64 << 20 and not moved:
                told.write(b"\n")
                told.flush()
                moved.append(says.readline())
            return found

        monkeypatch.setattr(process, "_touched", then_moves)
        found = memory.search(child.pid, _INDEX)
        told.close()
    assert moved == [b"moved\n"]
    assert found.unread == 0
    assert max(remains.length for remains in found.remains) == len(_NEEDLE)


def test_what_can_not_be_read_though_it_is_there_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    read, holes = process.os.preadv, set[int]()

    def holey(descriptor: int, buffers: list[memoryview], address: int) -> int:
        holes.add(hole := address if not holes else min(holes))
        if address == hole:
            raise OSError(errno.EIO, "a hole")
        return read(descriptor, buffers, address)

    monkeypatch.setattr(process.os, "preadv", holey)
    with _child("kept = [secret()]") as pid:
        found = memory.search(pid, _INDEX)
    assert (found.unread, len(holes)) == (process.PAGE, 1)
    assert found.searched > 1 << 20


def test_memory_that_could_not_be_read_makes_an_audit_incomplete(monkeypatch: pytest.MonkeyPatch) -> None:
    place, hunted = Memory(lambda: {"ingest": [7]}), Hunted(_INDEX)
    for unread, failed in ((10, 0), (11, 1)):
        monkeypatch.setattr(memory, "search", lambda *_, unread=unread: memory.MemorySearch(7, 1000 - unread, unread))
        (searched,) = place.search(hunted)
        assert (len(searched.failed), searched.memory) == (failed, {"ingest": 1000 - unread})


def test_a_memfd_and_a_deleted_file_are_searched_whatever_their_rights() -> None:
    code = """
whole = secret()
for descriptor in (os.memfd_create("spool"), os.open("/dev/shm", os.O_TMPFILE | os.O_RDWR, 0o600)):
    os.write(descriptor, whole[:3000])
    mapped = mmap.mmap(descriptor, 3000, mmap.MAP_SHARED, mmap.PROT_READ)
    _ = mapped[:3000]
    kept = [*globals().get("kept", []), mapped]
del whole, _
"""
    with _child(code) as pid:
        found = memory.search(pid, _INDEX)
    assert sum(remains.length == 3000 and remains.offset == 0 for remains in found.remains) == 2


def test_the_hunter_keeps_nothing_of_what_it_has_read() -> None:
    with _child("kept = [secret()]") as pid:
        assert memory.search(pid, _INDEX).remains
    assert not process._buffer.data.any()
