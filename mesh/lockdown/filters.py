"""System calls that no service of ours makes, by seccomp: refused with EPERM, whoever asks.

A list of what is refused, not of what is allowed: gRPC's, onnxruntime's and Python's calls change with their versions.
What the kernel has gained since the table of numbers was written is answered as if it hadn't (ENOSYS).
"""

from __future__ import annotations

import errno
import socket

from mesh.kernel.calls import CLONE_NEW, CLONE_THREAD, PR_SET_DUMPABLE
from mesh.kernel.numbers import NEWEST
from mesh.kernel.seccomp import (
    ALLOW,
    AND,
    JUMP_ANY_BIT,
    JUMP_AT_LEAST,
    JUMP_EQUAL,
    RETURN,
    Program,
    answer,
    argument,
    argument_above,
    case,
    fails,
    prologue,
)

# Reaching into other processes, or bringing their descriptors here.
OTHER_PROCESSES = (
    "ptrace", "process_vm_readv", "process_vm_writev", "process_madvise", "process_mrelease", "pidfd_getfd", "kcmp",
)  # fmt: skip
# Memory that outlives its process, or that others share: files without a name, System V IPC, message queues, keys.
HIDING_PLACES = (
    "memfd_create", "memfd_secret", "shmget", "shmat", "shmctl", "shmdt", "semget", "semop", "semctl", "semtimedop",
    "msgget", "msgsnd", "msgrcv", "msgctl", "mq_open", "mq_unlink", "add_key", "request_key", "keyctl",
)  # fmt: skip
# Ways past this filter, or past Landlock: calls made elsewhere, files by handle, bytes moved without being read.
WAYS_AROUND = (
    "io_uring_setup", "io_uring_enter", "io_uring_register", "open_by_handle_at", "name_to_handle_at", "sendfile",
    "splice", "tee", "vmsplice", "copy_file_range", "userfaultfd", "bpf", "perf_event_open", "personality",
    "modify_ldt", "uselib",
)  # fmt: skip
# What needs rights that no service has, unless it was started with too many.
ADMINISTRATION = (
    "mount", "umount2", "pivot_root", "chroot", "move_mount", "open_tree", "open_tree_attr", "fsopen", "fsconfig",
    "fsmount", "fspick", "mount_setattr", "unshare", "setns", "swapon", "swapoff", "acct", "quotactl", "quotactl_fd",
    "kexec_load", "kexec_file_load", "init_module", "finit_module", "delete_module", "reboot", "sethostname",
    "setdomainname", "settimeofday", "clock_settime", "adjtimex", "clock_adjtime", "iopl", "ioperm", "syslog",
    "fanotify_init", "lookup_dcookie", "vhangup",
)  # fmt: skip
# Names and attributes can hold data as well as files can.
ALTERING = (
    "mknod", "mknodat", "symlink", "symlinkat", "truncate", "chmod", "fchmod", "fchmodat", "fchmodat2", "chown",
    "fchown", "lchown", "fchownat", "setxattr", "lsetxattr", "fsetxattr", "setxattrat", "removexattr", "lremovexattr",
    "fremovexattr", "removexattrat", "file_setattr", "utime", "utimes", "futimesat", "utimensat",
)  # fmt: skip
# What only whoever keeps files does: purge, for its log.
WRITING = (
    "creat", "mkdir", "mkdirat", "rename", "renameat", "renameat2", "link", "linkat", "unlink", "unlinkat", "rmdir",
    "fallocate",
)  # fmt: skip
STARTING = ("execve", "execveat", "fork", "vfork")

_REFUSED = fails(errno.EPERM)
# open(2), <asm-generic/fcntl.h>: any of these opens for writing, or makes a file. O_TMPFILE is among them (O_RDWR or
# O_WRONLY is required with it).
_FOR_WRITING = 0o1 | 0o2 | 0o100 | 0o1000
_MSG_FASTOPEN = 0x20000000  # connects without connect(2), so that Landlock isn't asked
_TYPE_MASK = 0xF  # SOCK_CLOEXEC and SOCK_NONBLOCK are above (socket(2))
# <asm-generic/ioctls.h>, <linux/tiocl.h>: both type into a terminal, as if whoever sits there had (ioctl_tty(2)). The
# kernel looks at the lower half of a command only, and so do we.
_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C


def for_service(*, writes: bool, unix_sockets: bool) -> Program:
    """For everything that belongs to a service. writes: whether it keeps files. unix_sockets: whether it has peers in
    the file system."""
    return [
        *_for_everybody(),
        *answer(ALTERING, _REFUSED),
        *([] if writes else _no_writing()),
        *_sockets(unix_sockets),
        (RETURN, 0, 0, ALLOW),
    ]


def for_a_server() -> Program:
    """For a server of somebody else's that keeps what it has in memory: threads and streams, no processes. exec is how
    it is started, and a socket's mode is its own to change; the rest of its files is Landlock's."""
    altering = [name for name in ALTERING if "chmod" not in name]
    return [
        *_for_everybody(),
        *answer((*altering, "fork", "vfork"), _REFUSED),
        *case("clone", _thread()),
        *_sockets(unix_sockets=True),
        (RETURN, 0, 0, ALLOW),
    ]


def for_the_serving() -> Program:
    """On top of it, once all servers listen: no socket begins to. One without a name gets a port from listen(2) itself,
    of which Landlock is not asked. bind(2) is Landlock's, and alone it lets nobody in."""
    return [*prologue(), *answer(("listen",), _REFUSED), (RETURN, 0, 0, ALLOW)]


def for_the_locked() -> Program:
    """On top of it, once the last child has been started: neither exec nor fork, and no limit is changed again, which
    root could. Threads go on being made."""
    refused = (RETURN, 0, 0, _REFUSED)
    # prlimit(2): a limit that is only asked for has no new value, a null pointer.
    asking = [argument(2), (JUMP_EQUAL, 0, 2, 0), argument_above(2), (JUMP_EQUAL, 1, 0, 0), refused]
    dumping = [argument(0), (JUMP_EQUAL, 0, 1, PR_SET_DUMPABLE), refused]
    return [
        *prologue(),
        *answer((*STARTING, "setrlimit"), _REFUSED),
        *case("clone", _thread()),
        *case("prlimit64", asking),
        *case("prctl", dumping),
        (RETURN, 0, 0, ALLOW),
    ]


def _for_everybody() -> Program:
    refused = (*OTHER_PROCESSES, *HIDING_PLACES, *WAYS_AROUND, *ADMINISTRATION)
    return [
        *prologue(),
        (JUMP_AT_LEAST, 0, 1, NEWEST + 1),
        (RETURN, 0, 0, fails(errno.ENOSYS)),
        # Its flags lie in memory, where a filter can't look; whoever wants it falls back to openat.
        *answer(("openat2",), fails(errno.ENOSYS)),
        *answer(refused, _REFUSED),
        *case("clone", [argument(0), (JUMP_ANY_BIT, 0, 1, CLONE_NEW), (RETURN, 0, 0, _REFUSED)]),
        *case("ioctl", _typing()),
    ]


def _thread() -> Program:
    """For clone: a thread, no process."""
    return [argument(0), (JUMP_ANY_BIT, 1, 0, CLONE_THREAD), (RETURN, 0, 0, _REFUSED)]


def _typing() -> Program:
    refused = (RETURN, 0, 0, _REFUSED)
    return [argument(1), (JUMP_EQUAL, 1, 0, _TIOCSTI), (JUMP_EQUAL, 0, 1, _TIOCLINUX), refused]


def _no_writing() -> Program:
    program = answer(WRITING, _REFUSED)
    for name, flags in (("openat", 2), ("open", 1)):
        program += case(name, [argument(flags), (JUMP_ANY_BIT, 0, 1, _FOR_WRITING), (RETURN, 0, 0, _REFUSED)])
    return program


def _sockets(unix_sockets: bool) -> Program:
    """TCP over IP; unix streams where they are needed; pairs. UDP, raw and netlink sockets, and protocols that Landlock
    takes for something other than TCP (MPTCP, SCTP), are refused."""
    refused = (RETURN, 0, 0, _REFUSED)
    allowed = (RETURN, 0, 0, ALLOW)
    stream = [argument(1), (AND, 0, 0, _TYPE_MASK), (JUMP_EQUAL, 1, 0, socket.SOCK_STREAM), refused]
    protocol = [argument(2), (JUMP_EQUAL, 2, 0, 0), (JUMP_EQUAL, 1, 0, socket.IPPROTO_TCP), refused, allowed]
    unix = [argument(0), (JUMP_EQUAL, 0, len(stream) + 1, socket.AF_UNIX), *stream, allowed] if unix_sockets else []
    internet = [
        argument(0),
        (JUMP_EQUAL, 2, 0, socket.AF_INET),
        (JUMP_EQUAL, 1, 0, socket.AF_INET6),
        refused,
        *stream,
        *protocol,
    ]
    # A pair's datagram socket can be connected to any other one, by its path; and AF_UNIX makes one of SOCK_RAW, too
    # (unix_create in the kernel's net/unix/af_unix.c). Streams and sequenced packets are connected for good.
    pair = [
        argument(0),
        (JUMP_EQUAL, 1, 0, socket.AF_UNIX),
        refused,
        argument(1),
        (AND, 0, 0, _TYPE_MASK),
        (JUMP_EQUAL, 2, 0, socket.SOCK_STREAM),
        (JUMP_EQUAL, 1, 0, socket.SOCK_SEQPACKET),
        refused,
    ]
    program = case("socket", [*unix, *internet]) + case("socketpair", pair)
    for name, flags in (("sendto", 3), ("sendmsg", 2), ("sendmmsg", 3)):
        program += case(name, [argument(flags), (JUMP_ANY_BIT, 0, 1, _MSG_FASTOPEN), refused])
    return program
