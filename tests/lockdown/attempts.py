# The system calls themselves are meant.
# ruff: noqa: SIM115, PTH101, PTH102, PTH104, PTH108, PTH118, PTH123, PTH208, PTH211
"""What code that has taken over a service might try, and what the kernel says to it. Runs inside, in any thread."""

from __future__ import annotations

import ctypes
import errno
import os
import resource
import signal
import socket
import struct
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass

from mesh.kernel.calls import PR_SET_DUMPABLE, prctl, syscall
from mesh.kernel.numbers import number

PHOTO = b"a photo, or what is left of it " * 1000
LEFT = "mayfly-broke-out"
"""What a file that should not be is called."""
IPPROTO_MPTCP, MSG_FASTOPEN, AF_VSOCK = 262, 0x20000000, 40
TIOCSTI, TIOCLINUX, CLONE_NEWUSER = 0x5412, 0x541C, 0x10000000
ALLOWED = "allowed"


@dataclass(frozen=True, slots=True)
class Target:
    """What there is to attack. victim: a file that may be written to by whoever isn't locked. secret: a file that is
    somebody else's to read. port: of a listener on loopback. abstract: a listener's name, without the zero byte. path:
    of a unix socket that listens. mailbox: of one for datagrams."""

    victim: str
    secret: str
    port: int
    abstract: str
    path: str
    mailbox: str


Attempt = Callable[[Target], object]


def write_to(folder: str) -> Attempt:
    return lambda _: open(os.path.join(folder, LEFT), "wb").write(PHOTO)


def connect(target: Target) -> object:
    with socket.socket() as tcp:
        return tcp.connect(("127.0.0.1", target.port))


def bind(_: Target) -> object:
    with socket.socket() as tcp:
        return tcp.bind(("127.0.0.1", 47_113))


def fast_open(target: Target) -> object:
    with socket.socket() as tcp:
        return tcp.sendto(PHOTO, MSG_FASTOPEN, ("127.0.0.1", target.port))


def make(family: int, kind: int, protocol: int = 0) -> Attempt:
    return lambda _: socket.socket(family, kind, protocol).close()


def abstract(target: Target) -> object:
    with socket.socket(socket.AF_UNIX) as unix:
        return unix.connect("\0" + target.abstract)


def path_socket(target: Target) -> object:
    with socket.socket(socket.AF_UNIX) as unix:
        return unix.connect(target.path)


def datagrams(kind: int) -> Attempt:
    """One of a pair, to a socket in the file system."""

    def attempt(target: Target) -> object:
        one, other = socket.socketpair(socket.AF_UNIX, kind)
        with one, other:
            return one.connect(target.mailbox)

    return attempt


def pair(family: int, kind: int) -> Attempt:
    return lambda _: [each.close() for each in socket.socketpair(family, kind)]


def listen(_: Target) -> object:
    """Without a name: the kernel then finds a port."""
    with socket.socket() as tcp:
        return tcp.listen()


def clone(flags: int) -> Attempt:
    """A child in a new namespace, which ends at once."""

    def attempt(_: Target) -> object:
        pid = syscall(number("clone"), flags | signal.SIGCHLD, 0, 0, 0, 0)
        if pid == 0:
            os._exit(0)
        return os.waitpid(pid, 0)

    return attempt


def fork(_: Target) -> object:
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    return os.waitpid(pid, 0)


def spooled(_: Target) -> object:
    """In memory as long as it is small; a file after that."""
    with tempfile.SpooledTemporaryFile(max_size=1000) as file:
        file.write(b"x" * 999)
        file.write(PHOTO)
        return file.name


def call(name: str, *arguments: object) -> Attempt:
    return lambda _: syscall(number(name), *arguments)


def read_vectors(target: Target) -> object:
    buffer = ctypes.create_string_buffer(8)
    vector = struct.pack("PN", ctypes.addressof(buffer), 8)
    return syscall(number("process_vm_readv"), os.getppid(), vector, 1, vector, 1, 0)


# Writing to files is stopped by the filter in services that keep none, and by Landlock alone in purge.
FILES: dict[str, Attempt] = {
    "write to the working folder": write_to("."),
    "write to /tmp": write_to("/tmp"),
    "write to /var/tmp": write_to("/var/tmp"),
    "write to /dev/shm": write_to("/dev/shm"),
    "write to an existing file": lambda t: open(t.victim, "r+b").write(PHOTO),
    "append to an existing file": lambda t: os.open(t.victim, os.O_WRONLY | os.O_APPEND),
    "a file without a name": lambda _: os.open("/tmp", os.O_TMPFILE | os.O_RDWR),
    "make a folder": lambda _: os.mkdir(f"/tmp/{LEFT}"),
    "rename": lambda t: os.rename(t.victim, t.victim + LEFT),
    "link": lambda t: os.link(t.victim, t.victim + LEFT),
    "unlink": lambda t: os.unlink(t.victim),
    "its own memory as a file": lambda _: open("/proc/self/mem", "r+b"),
}
REFUSED: dict[str, Attempt] = {
    "truncate": lambda t: os.truncate(t.victim, 0),
    "symlink": lambda _: os.symlink("data-in-a-name", f"/tmp/{LEFT}"),
    "fifo": lambda _: os.mkfifo(f"/tmp/{LEFT}"),
    "extended attribute": lambda t: os.setxattr(t.victim, "user.mayfly", b"data"),
    "chmod": lambda t: os.chmod(t.victim, 0o640),
    "chown": lambda t: os.chown(t.victim, -1, os.getgid()),
    "times": lambda t: os.utime(t.victim, (1, 1)),
    "memfd": lambda _: os.memfd_create("mayfly"),
    "secret memory": call("memfd_secret", 0),
    "System V shared memory": call("shmget", 0, 4096, 0o1600),
    "System V messages": call("msgget", 0, 0o1600),
    "POSIX message queue": call("mq_open", b"mayfly", os.O_CREAT | os.O_RDWR, 0o600, None),
    "keyring": call("add_key", b"user", b"mayfly", b"data", 4, -4),
    "io_uring": call("io_uring_setup", 1, ctypes.create_string_buffer(128)),
    "bpf": call("bpf", 0, None, 0),
    "userfaultfd": call("userfaultfd", 0),
    "perf events": call("perf_event_open", None, 0, -1, -1, 0),
    "sendfile": call("sendfile", 1, 0, None, 1),
    "splice": call("splice", 0, None, 1, None, 1, 0),
    "copy a range": call("copy_file_range", 0, None, 1, None, 1, 0),
    "a file by its handle": call("open_by_handle_at", -1, None, 0),
    "mount": call("mount", b"none", b"/tmp", b"tmpfs", 0, None),
    "user namespace": call("unshare", 0x10000000),
    "chroot": lambda _: os.chroot("/"),
    "swap on": call("swapon", b"/tmp/nothing", 0),
    "ptrace": lambda _: syscall(number("ptrace"), 16, os.getppid(), 0, 0),
    "another's memory": read_vectors,
    "another's descriptor": call("pidfd_getfd", -1, 0, 0),
    "exec": lambda _: os.execv("/bin/true", ["true"]),
    "spawn": lambda _: os.posix_spawn("/bin/true", ["true"], {}),
    "subprocess": lambda _: subprocess.run(["/bin/true"], check=True),
    "fork": fork,
    "clone": clone(0),
    "clone into a user namespace": clone(CLONE_NEWUSER),
    "typing into a terminal": call("ioctl", 2, TIOCSTI, b"x"),
    "typing into a terminal by a longer command": call("ioctl", 2, ctypes.c_ulong(TIOCSTI | 1 << 32), b"x"),
    "pasting into a console": call("ioctl", 2, TIOCLINUX, b"\x03"),
    "listening without a name": listen,
    "unlimited core dumps": lambda _: resource.setrlimit(resource.RLIMIT_CORE, (1 << 30, 1 << 30)),
    "unlimited files": lambda _: resource.prlimit(0, resource.RLIMIT_FSIZE, (1 << 30, 1 << 30)),
    "dumpable again": lambda _: prctl(PR_SET_DUMPABLE, 1),
    "a signal to others": lambda _: os.kill(os.getppid(), signal.SIGCONT),
    "udp": make(socket.AF_INET, socket.SOCK_DGRAM),
    "udp, IPv6": make(socket.AF_INET6, socket.SOCK_DGRAM),
    "raw": make(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP),
    "netlink": make(socket.AF_NETLINK, socket.SOCK_RAW),
    "packet": make(socket.AF_PACKET, socket.SOCK_RAW),
    "vsock": make(AF_VSOCK, socket.SOCK_STREAM),
    "multipath tcp": make(socket.AF_INET, socket.SOCK_STREAM, IPPROTO_MPTCP),
    "tcp fast open": fast_open,
    "abstract socket": abstract,
    "a pair of datagram sockets": datagrams(socket.SOCK_DGRAM),
    "a pair of raw sockets": datagrams(socket.SOCK_RAW),
    "a pair of raw sockets, not blocking": datagrams(socket.SOCK_RAW | socket.SOCK_NONBLOCK),
    "a pair over the cluster's bus": pair(socket.AF_TIPC, socket.SOCK_RDM),
}
"""By the filter, but for the two that Landlock's scopes stop with the same error."""
UNKNOWN: dict[str, Attempt] = {
    "openat2": call("openat2", -100, b"/tmp", None, 0),
    "a call of the next kernel": lambda _: syscall(1000),
}
UNREACHABLE: dict[str, Attempt] = {
    "another tcp port": connect,
    "listening elsewhere": bind,
    "list /": lambda _: os.listdir("/"),
    "list /tmp": lambda _: os.listdir("/tmp"),
    "read /etc/hostname": lambda _: open("/etc/hostname", "rb"),
    "read a file of the same user": lambda t: open(t.victim, "rb"),
    "read /etc/passwd": lambda _: open("/etc/passwd", "rb"),
    "read another's key": lambda t: open(t.secret, "rb"),
    "read another's environment": lambda _: open(f"/proc/{os.getppid()}/environ", "rb"),
    "list the source's folder": lambda _: os.listdir(os.environ["PYTHONPATH"]),
}
"""By Landlock."""
PATH_SOCKET: dict[str, Attempt] = {"a socket in the file system": path_socket}
"""By the filter; not in purge, whose Redis is such a one."""
SPOOLED: dict[str, Attempt] = {"a spooled file that grows": spooled}
"""Python looks for a folder that it can write to, and finds none."""

_ALL = FILES | REFUSED | UNKNOWN | UNREACHABLE | PATH_SOCKET | SPOOLED


def expected(service: str) -> dict[str, frozenset[str]]:
    """Attempt -> names of the errors that it must end with, one of them."""
    purge = service == "purge"
    said = {
        **dict.fromkeys(FILES, frozenset({"EACCES" if purge else "EPERM"})),
        **dict.fromkeys(REFUSED, frozenset({"EPERM"})),
        **dict.fromkeys(UNKNOWN, frozenset({"ENOSYS"})),
        **dict.fromkeys(UNREACHABLE, frozenset({"EACCES"})),
        **dict.fromkeys(SPOOLED, frozenset({"ENOENT"})),
    }
    if purge:
        # Landlock's answer to a link or a rename into another folder than the source's, and to what isn't asked for.
        said |= dict.fromkeys(("rename", "link"), frozenset({"EACCES", "EXDEV"}))
    else:
        said |= dict.fromkeys(PATH_SOCKET, frozenset({"EPERM"}))
    return said


def run(target: Target) -> dict[str, str]:
    """attempt -> the error's name, or ALLOWED."""
    return {name: _ended(attempt, target) for name, attempt in _ALL.items()}


def _ended(attempt: Attempt, target: Target) -> str:
    try:
        attempt(target)
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, type(error).__name__)
    except ValueError:  # how resource says EPERM
        return "EPERM"
    return ALLOWED
