"""What may be asked of the kernel at all: a list of calls that are allowed; the rest is refused, and some of it kills.

seccomp(2) with classic BPF (bpf(4), <linux/filter.h>, <linux/seccomp.h>). libseccomp would write the same program, but
it is a system package that a slim image may not have.
"""

from __future__ import annotations

import ctypes
import errno
import struct

from mesh.isolation.kernel import PR_GET_SECCOMP, PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, prctl
from mesh.isolation.syscalls import AUDIT_ARCH, machine, numbers

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
    "recvmsg", "prctl", "prlimit64", "fcntl", "close_range", "tgkill",
)  # fmt: skip
# No decoder asks for these by mistake. Whoever does is under somebody else's control and dies of SIGSYS.
FATAL = (
    "execve", "execveat", "fork", "vfork", "clone", "ptrace", "process_vm_readv", "process_vm_writev",
    "process_madvise", "socket", "socketpair", "connect", "bind", "listen", "accept", "sendto", "sendmsg",
    "memfd_create", "memfd_secret", "shmget", "msgget", "mq_open", "kill", "tkill", "tgkill", "pidfd_open",
    "pidfd_getfd", "pidfd_send_signal", "bpf", "perf_event_open", "io_uring_setup", "userfaultfd", "mount", "unshare",
    "setns", "keyctl", "add_key", "request_key", "open_by_handle_at", "init_module", "finit_module",
)  # fmt: skip

_MODE_FILTER = 2
_ALLOW, _ERRNO, _KILL_PROCESS = 0x7FFF0000, 0x00050000, 0x80000000
_LOAD, _JUMP_EQUAL, _JUMP_AT_LEAST, _JUMP_ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER_AT, _ARCH_AT, _ARGUMENT_AT = 0, 4, 16  # struct seccomp_data; arguments are 64 bits, little endian
_X32 = 0x40000000  # x86-64's other calling convention: the same calls by other numbers
_PROT_EXEC = 4
_CLONE_THREAD = 0x10000  # clone(2): libde265 decodes in a thread of its own, and not at all without

Program = list[tuple[int, int, int, int]]
"""(code, jump if true, jump if false, constant); a filter is at most 4,096 of them."""


def for_computing(pid: int) -> Program:
    """For a child: COMPUTING, no executable memory, threads but no process, abort() of itself. ``pid`` is its own."""
    return [
        *_prologue(),
        *_allow(COMPUTING),
        *_unless_executable(),
        *_case("tgkill", [(_LOAD, 0, 0, _ARGUMENT_AT), (_JUMP_EQUAL, 0, 1, pid), (_RETURN, 0, 0, _ALLOW)]),
        *_case("clone", [(_LOAD, 0, 0, _ARGUMENT_AT), (_JUMP_ANY_BIT, 0, 1, _CLONE_THREAD), (_RETURN, 0, 0, _ALLOW)]),
        *_answer(FATAL, _KILL_PROCESS),
        *_epilogue(),
    ]


def for_template() -> Program:
    """For the template: what its children need, and forking them."""
    return [*_prologue(), *_allow(COMPUTING), *_unless_executable(), *_allow(FORKING), *_epilogue()]


def install(program: Program) -> None:
    """For this thread and what it forks; filters add up, the strictest answer counts. Raises OSError."""
    code = b"".join(struct.pack("HBBI", *instruction) for instruction in program)
    buffer = ctypes.create_string_buffer(code, len(code))
    head = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(program), ctypes.addressof(buffer)))
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    prctl(PR_SET_SECCOMP, _MODE_FILTER, ctypes.addressof(head))


def in_force() -> bool:
    """Asked of the kernel."""
    return prctl(PR_GET_SECCOMP) == _MODE_FILTER


def available() -> bool:
    """Whether this kernel has filters and we know the machine's numbers; installs nothing.

    seccomp(2), prctl(2): a filter at address 0 is EFAULT where there are filters, EINVAL where there are none.
    """
    try:
        prctl(PR_SET_SECCOMP, _MODE_FILTER, 0)
    except OSError as error:
        return error.errno == errno.EFAULT and bool(machine())
    return False


def _prologue() -> Program:
    arch = machine()
    program = [(_LOAD, 0, 0, _ARCH_AT), (_JUMP_EQUAL, 1, 0, AUDIT_ARCH[arch]), (_RETURN, 0, 0, _KILL_PROCESS)]
    program += [(_LOAD, 0, 0, _NUMBER_AT)]
    if arch == "x86_64":
        program += [(_JUMP_AT_LEAST, 0, 1, _X32), (_RETURN, 0, 0, _KILL_PROCESS)]
    # glibc then starts threads by clone, whose flags can be looked at.
    return program + _answer(("clone3",), _ERRNO | errno.ENOSYS)


def _epilogue() -> Program:
    return [(_RETURN, 0, 0, _ERRNO | errno.EPERM)]


def _allow(names: tuple[str, ...]) -> Program:
    return _answer(names, _ALLOW)


def _answer(names: tuple[str, ...], answer: int) -> Program:
    return [
        instruction
        for number in numbers(machine(), names)
        for instruction in ((_JUMP_EQUAL, 0, 1, number), (_RETURN, 0, 0, answer))
    ]


def _unless_executable() -> Program:
    refused = [
        (_LOAD, 0, 0, _ARGUMENT_AT + 8 * 2),
        (_JUMP_ANY_BIT, 0, 1, _PROT_EXEC),
        (_RETURN, 0, 0, _ERRNO | errno.EPERM),
        (_RETURN, 0, 0, _ALLOW),
    ]
    return _case("mmap", refused) + _case("mprotect", refused)


def _case(name: str, then: Program) -> Program:
    """``then`` for one call; whoever falls out of it goes on with the number loaded again."""
    (number,) = numbers(machine(), (name,))
    return [(_JUMP_EQUAL, 0, len(then) + 1, number), *then, (_LOAD, 0, 0, _NUMBER_AT)]
