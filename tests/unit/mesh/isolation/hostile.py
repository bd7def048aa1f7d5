# The system calls themselves are meant.
# ruff: noqa: SIM115, PTH101, PTH102, PTH108, PTH208
"""What bytes that have taken over a decoder might try. Runs inside a child; ``run`` is the worker's function."""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import resource
import signal
import socket
import struct
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from mesh.isolation.outcome import Refused
from mesh.kernel.calls import syscall
from mesh.kernel.numbers import number

MIB = 1 << 20
DATA = b"stolen" * 100
PARENT = os.getppid()  # of the template: the service
TEMPLATE = os.getpid()
_KEPT: list[bytes] = []


def write_to(folder: str) -> Callable[[], object]:
    return lambda: Path(folder, "mayfly-broke-out").write_bytes(DATA)


def send_udp() -> object:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        return udp.sendto(DATA, ("127.0.0.1", 9))


def connect_unix() -> object:
    with socket.socket(socket.AF_UNIX) as unix:
        return unix.connect("\0mayfly-broke-out")


def send_on_inherited() -> object:
    """A descriptor other than the job's own that still works."""
    if len(found := _open_fds()) != 1:
        return found
    raise PermissionError(errno.EBADF, "only its own socket is open")


def executable_memory() -> object:
    return mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)


def raise_limits() -> object:
    return syscall(number("prlimit64"), 0, resource.RLIMIT_AS, struct.pack("qq", -1, -1), None)


REFUSED: dict[str, Callable[[], object]] = {
    "write to the working folder": write_to("."),
    "write to /tmp": write_to("/tmp"),
    "write to /var/tmp": write_to("/var/tmp"),
    "write to /dev/shm": write_to("/dev/shm"),
    "read /etc/passwd": lambda: Path("/etc/passwd").read_bytes(),
    "read the parent's memory": lambda: Path(f"/proc/{PARENT}/mem").open("rb"),
    "read the template's memory": lambda: Path(f"/proc/{TEMPLATE}/mem").open("rb"),
    "list a folder": lambda: os.listdir("/"),
    "make a folder": lambda: os.mkdir("/tmp/mayfly-broke-out"),
    "remove a file": lambda: os.unlink("/tmp/mayfly-broke-out"),
    "change a mode": lambda: os.chmod("/tmp", 0o777),
    "inherited descriptors": send_on_inherited,
    "a pipe": os.pipe,
    "executable memory": executable_memory,
    "raise its limits": raise_limits,
    "a better priority": lambda: os.setpriority(os.PRIO_PROCESS, 0, -5),
}
"""Answered with an error; the child lives on."""

FATAL: dict[str, Callable[[], object]] = {
    "tcp": lambda: socket.socket().connect(("127.0.0.1", 9)),
    "udp": send_udp,
    "unix socket": connect_unix,
    "socket pair": socket.socketpair,
    "memfd": lambda: os.memfd_create("mayfly"),
    "fork": os.fork,
    "exec": lambda: os.execv("/bin/true", ["true"]),
    "spawn": lambda: os.posix_spawn("/bin/true", ["true"], {}),
    "ptrace": lambda: syscall(number("ptrace"), 16, PARENT, 0, 0),
    "read by process_vm_readv": lambda: syscall(number("process_vm_readv"), PARENT, 0, 0, 0, 0, 0),
    "kill the parent": lambda: os.kill(PARENT, signal.SIGTERM),
    "kill everything": lambda: os.kill(-1, signal.SIGKILL),
    "pidfd": lambda: os.pidfd_open(PARENT),
    "io_uring": lambda: syscall(number("io_uring_setup"), 1, 0),
    "bpf": lambda: syscall(number("bpf"), 0, 0, 0),
    "user namespace": lambda: syscall(number("unshare"), 0x10000000),
    "shared memory": lambda: syscall(number("shmget"), 0, 4096, 0o1600),
    "keyring": lambda: syscall(number("keyctl"), 0, 0, 0, 0, 0),
}
"""Killed for asking."""


def crash() -> object:
    return ctypes.string_at(0)


def abort() -> object:
    return os.abort()


def spin() -> object:
    while True:
        pass


def wait() -> object:
    return time.sleep(3600)


def allocate() -> object:
    return bytearray(4096 * MIB)


def allocate_slowly() -> object:
    while True:
        _KEPT.append(bytes(16 * MIB))


def thread() -> object:
    """Decoders may have threads, which are held like the rest."""
    said: list[str] = []

    def work() -> None:
        try:
            said.append(str(Path("/etc/passwd").read_bytes()))
        except OSError as error:
            said.append(error.__class__.__name__)

    worker = threading.Thread(target=work)
    worker.start()
    worker.join()
    return said[0]


def refuse() -> object:
    raise Refused("not_today")


def refuse_unknown() -> object:
    raise Refused("IMG_2041.HEIC of Emma")


def huge_answer() -> object:
    return bytes(64 * MIB)


def lie() -> object:
    """A frame that promises more than it holds."""
    os.write(_own_fd(), struct.pack("<cQ", b"=", 100) + b"short")
    os._exit(0)


def nonsense() -> object:
    os.write(_own_fd(), b"x" * 100)
    os._exit(0)


def twice() -> object:
    os.write(_own_fd(), struct.pack("<cQ", b"=", 2) + b"ok" + b"and more")
    os._exit(0)


def answer_and_die() -> object:
    os.write(_own_fd(), struct.pack("<cQ", b"=", 2) + b"ok")
    return crash()


def silent() -> object:
    os._exit(0)


def keep() -> object:
    """What an earlier job left in this memory."""
    _KEPT.append(b"a job was here")
    return len(_KEPT)


def who() -> object:
    return os.getpid()


def _own_fd() -> int:
    return _open_fds()[0]


def _open_fds() -> list[int]:
    return [fd for fd in range(1024) if _seek(fd) != errno.EBADF]


def _seek(fd: int) -> int | None:
    """The error of a call that every open descriptor answers otherwise than a closed one."""
    try:
        os.lseek(fd, 0, os.SEEK_CUR)
    except OSError as error:
        return error.errno
    return None


OTHERS = (
    crash, abort, spin, wait, allocate, allocate_slowly, thread, refuse, refuse_unknown, huge_answer, lie, nonsense,
    twice, answer_and_die, silent, keep, who,
)  # fmt: skip
_ATTEMPTS = REFUSED | FATAL | {each.__name__: each for each in OTHERS}


def run(parts: Sequence[memoryview]) -> Sequence[bytes]:
    name = bytes(parts[0]).decode()
    if name == "echo":
        return [bytes(part) for part in parts[1:]]
    try:
        got = _ATTEMPTS[name]()
    except OSError as error:
        return [errno.errorcode.get(error.errno or 0, "?").encode()]
    return [got] if isinstance(got, bytes) else [str(got).encode()]
