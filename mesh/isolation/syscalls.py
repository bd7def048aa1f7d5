"""System call numbers of two architectures.

x86-64: arch/x86/entry/syscalls/syscall_64.tbl; AArch64: include/uapi/asm-generic/unistd.h, in the kernel's source.
A call that an architecture doesn't have isn't listed for it.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping

# <linux/audit.h>: what seccomp calls the architecture.
AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}

_X86_64 = {
    "read": 0, "write": 1, "close": 3, "fstat": 5, "poll": 7, "lseek": 8, "mmap": 9, "mprotect": 10, "munmap": 11,
    "brk": 12, "rt_sigaction": 13, "rt_sigprocmask": 14, "rt_sigreturn": 15, "readv": 19, "writev": 20,
    "sched_yield": 24, "mremap": 25, "madvise": 28, "nanosleep": 35, "getpid": 39, "socket": 41, "connect": 42,
    "accept": 43, "sendto": 44, "recvfrom": 45, "sendmsg": 46, "recvmsg": 47, "bind": 49, "listen": 50,
    "socketpair": 53, "clone": 56, "fork": 57, "vfork": 58, "execve": 59, "exit": 60, "wait4": 61, "kill": 62,
    "shmget": 29, "msgget": 68, "fcntl": 72, "getrusage": 98, "sysinfo": 99, "ptrace": 101, "getppid": 110,
    "sigaltstack": 131, "prctl": 157, "mount": 165, "init_module": 175, "gettid": 186, "tkill": 200, "futex": 202,
    "sched_getaffinity": 204, "restart_syscall": 219, "clock_gettime": 228, "clock_getres": 229,
    "clock_nanosleep": 230, "exit_group": 231, "tgkill": 234, "mq_open": 240, "waitid": 247, "add_key": 248,
    "request_key": 249, "keyctl": 250, "unshare": 272, "ppoll": 271, "set_robust_list": 273, "perf_event_open": 298,
    "prlimit64": 302, "open_by_handle_at": 304, "setns": 308, "process_vm_readv": 310, "process_vm_writev": 311,
    "finit_module": 313, "getrandom": 318, "memfd_create": 319, "bpf": 321, "execveat": 322, "userfaultfd": 323,
    "rseq": 334, "pidfd_send_signal": 424, "io_uring_setup": 425, "pidfd_open": 434, "clone3": 435,
    "close_range": 436, "pidfd_getfd": 438, "process_madvise": 440, "memfd_secret": 447,
}  # fmt: skip

_AARCH64 = {
    "fcntl": 25, "close": 57, "lseek": 62, "read": 63, "write": 64, "readv": 65, "writev": 66, "ppoll": 73,
    "fstat": 80, "exit": 93, "exit_group": 94, "waitid": 95, "unshare": 97, "futex": 98, "set_robust_list": 99,
    "nanosleep": 101, "init_module": 105, "clock_gettime": 113, "clock_getres": 114, "clock_nanosleep": 115,
    "ptrace": 117, "sched_getaffinity": 123, "sched_yield": 124, "restart_syscall": 128, "kill": 129, "tkill": 130,
    "tgkill": 131, "sigaltstack": 132, "rt_sigaction": 134, "rt_sigprocmask": 135, "rt_sigreturn": 139,
    "getrusage": 165, "prctl": 167, "getpid": 172, "getppid": 173, "gettid": 178, "sysinfo": 179, "mq_open": 180,
    "msgget": 186, "shmget": 194, "socket": 198, "socketpair": 199, "bind": 200, "listen": 201, "accept": 202,
    "connect": 203, "sendto": 206, "recvfrom": 207, "sendmsg": 211, "recvmsg": 212, "brk": 214, "munmap": 215,
    "mremap": 216, "add_key": 217, "request_key": 218, "keyctl": 219, "clone": 220, "execve": 221, "mmap": 222,
    "mprotect": 226, "madvise": 233, "perf_event_open": 241, "wait4": 260, "prlimit64": 261,
    "open_by_handle_at": 265, "setns": 268, "process_vm_readv": 270, "process_vm_writev": 271, "finit_module": 273,
    "getrandom": 278, "memfd_create": 279, "bpf": 280, "execveat": 281, "userfaultfd": 282, "rseq": 293,
    "mount": 40, "pidfd_send_signal": 424, "io_uring_setup": 425, "pidfd_open": 434, "clone3": 435,
    "close_range": 436, "pidfd_getfd": 438, "process_madvise": 440, "memfd_secret": 447,
}  # fmt: skip

_TABLES: Mapping[str, Mapping[str, int]] = {"x86_64": _X86_64, "aarch64": _AARCH64}


def machine() -> str:
    """This machine's name if its numbers are known, else ""."""
    name = platform.machine()
    return name if name in _TABLES else ""


def numbers(arch: str, names: tuple[str, ...]) -> list[int]:
    """The numbers of those calls that ``arch`` has."""
    table = _TABLES[arch]
    return [table[name] for name in names if name in table]
