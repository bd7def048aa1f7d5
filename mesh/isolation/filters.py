"""What a decoder may ask of the kernel: a list of calls that are allowed; the rest is refused, and some of it kills."""

from __future__ import annotations

import errno

from mesh.kernel.calls import CLONE_NEW, CLONE_THREAD
from mesh.kernel.seccomp import (
    ALLOW,
    JUMP_ANY_BIT,
    JUMP_EQUAL,
    KILL_PROCESS,
    RETURN,
    Program,
    answer,
    argument,
    case,
    fails,
    prologue,
)

# Reading and writing what is open, memory, time, waiting for itself: all that a computation needs.
COMPUTING = (
    "read", "write", "readv", "writev", "close", "fstat", "poll", "ppoll", "lseek", "munmap", "brk", "mremap",
    "madvise", "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sigaltstack", "sched_yield", "sched_getaffinity",
    "nanosleep", "clock_nanosleep", "clock_gettime", "clock_getres", "getpid", "gettid", "futex", "restart_syscall",
    "getrusage", "sysinfo", "set_robust_list", "rseq", "getrandom", "exit", "exit_group",
)  # fmt: skip
# What the template needs besides, and its children until they have locked themselves.
FORKING = (
    "clone", "wait4", "waitid", "pidfd_open", "pidfd_send_signal", "getppid", "sendto", "sendmsg", "recvfrom",
    "recvmsg", "prctl", "prlimit64", "fcntl", "close_range", "tgkill", "mlockall",
)  # fmt: skip
# No decoder asks for these by mistake. Whoever does is under somebody else's control and dies of SIGSYS.
FATAL = (
    "execve", "execveat", "fork", "vfork", "clone", "ptrace", "process_vm_readv", "process_vm_writev",
    "process_madvise", "socket", "socketpair", "connect", "bind", "listen", "accept", "sendto", "sendmsg",
    "memfd_create", "memfd_secret", "shmget", "msgget", "mq_open", "kill", "tkill", "tgkill", "pidfd_open",
    "pidfd_getfd", "pidfd_send_signal", "bpf", "perf_event_open", "io_uring_setup", "userfaultfd", "mount", "unshare",
    "setns", "keyctl", "add_key", "request_key", "open_by_handle_at", "init_module", "finit_module",
)  # fmt: skip

_PROT_EXEC = 4


def for_computing(pid: int) -> Program:
    """For a child: COMPUTING, no executable memory, threads but no process, abort() of itself. ``pid`` is its own.

    libde265 decodes in a thread of its own, and not at all without.
    """
    return [
        *prologue(),
        *answer(COMPUTING, ALLOW),
        *_unless_executable(),
        *case("tgkill", [argument(0), (JUMP_EQUAL, 0, 1, pid), (RETURN, 0, 0, ALLOW)]),
        *case(
            "clone",
            [
                argument(0),
                (JUMP_ANY_BIT, 2, 0, CLONE_NEW),
                (JUMP_ANY_BIT, 0, 1, CLONE_THREAD),
                (RETURN, 0, 0, ALLOW),
            ],
        ),
        *answer(FATAL, KILL_PROCESS),
        *_epilogue(),
    ]


def for_template() -> Program:
    """For the template: what its children need, and forking them, into no new namespace."""
    return [
        *prologue(),
        *answer(COMPUTING, ALLOW),
        *_unless_executable(),
        *case("clone", [argument(0), (JUMP_ANY_BIT, 0, 1, CLONE_NEW), (RETURN, 0, 0, fails(errno.EPERM))]),
        *answer(FORKING, ALLOW),
        *_epilogue(),
    ]


def _epilogue() -> Program:
    return [(RETURN, 0, 0, fails(errno.EPERM))]


def _unless_executable() -> Program:
    refused = [
        argument(2),
        (JUMP_ANY_BIT, 0, 1, _PROT_EXEC),
        (RETURN, 0, 0, fails(errno.EPERM)),
        (RETURN, 0, 0, ALLOW),
    ]
    return case("mmap", refused) + case("mprotect", refused)
