"""System call numbers of two architectures.

x86-64: arch/x86/entry/syscalls/syscall_64.tbl; AArch64: include/uapi/asm-generic/unistd.h, in the kernel's source.
A call that an architecture doesn't have isn't listed for it.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence

# <linux/audit.h>: what seccomp calls the architecture.
AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}

# From 424 on, new calls have one number everywhere.
_EVERYWHERE = {
    "pidfd_send_signal": 424, "io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427, "open_tree": 428,
    "move_mount": 429, "fsopen": 430, "fsconfig": 431, "fsmount": 432, "fspick": 433, "pidfd_open": 434, "clone3": 435,
    "close_range": 436, "openat2": 437, "pidfd_getfd": 438, "process_madvise": 440, "mount_setattr": 442,
    "quotactl_fd": 443, "landlock_create_ruleset": 444, "landlock_add_rule": 445, "landlock_restrict_self": 446,
    "memfd_secret": 447, "process_mrelease": 448, "fchmodat2": 452, "setxattrat": 463, "removexattrat": 466,
    "open_tree_attr": 467, "file_setattr": 469,
}  # fmt: skip
NEWEST = 469
"""Whatever has a higher number was added to the kernel after this table was written."""

_X86_64 = _EVERYWHERE | {
    "read": 0, "write": 1, "open": 2, "close": 3, "fstat": 5, "poll": 7, "lseek": 8, "mmap": 9, "mprotect": 10,
    "munmap": 11, "brk": 12, "rt_sigaction": 13, "rt_sigprocmask": 14, "rt_sigreturn": 15, "ioctl": 16,
    "readv": 19, "writev": 20,
    "sched_yield": 24, "mremap": 25, "madvise": 28, "shmget": 29, "shmat": 30, "shmctl": 31, "nanosleep": 35,
    "getpid": 39, "sendfile": 40, "socket": 41, "connect": 42, "accept": 43, "sendto": 44, "recvfrom": 45,
    "sendmsg": 46, "recvmsg": 47, "bind": 49, "listen": 50, "socketpair": 53, "clone": 56, "fork": 57, "vfork": 58,
    "execve": 59, "exit": 60, "wait4": 61, "kill": 62, "semget": 64, "semop": 65, "semctl": 66, "shmdt": 67,
    "msgget": 68, "msgsnd": 69, "msgrcv": 70, "msgctl": 71, "fcntl": 72, "truncate": 76, "rename": 82, "mkdir": 83,
    "rmdir": 84, "creat": 85, "link": 86, "unlink": 87, "symlink": 88, "chmod": 90, "fchmod": 91, "chown": 92,
    "fchown": 93, "lchown": 94, "getrusage": 98, "sysinfo": 99, "ptrace": 101, "syslog": 103, "getppid": 110,
    "sigaltstack": 131, "utime": 132, "mknod": 133, "uselib": 134, "personality": 135, "mlockall": 151,
    "setrlimit": 160, "vhangup": 153, "modify_ldt": 154, "pivot_root": 155, "prctl": 157, "adjtimex": 159,
    "chroot": 161, "acct": 163, "settimeofday": 164, "mount": 165, "umount2": 166, "swapon": 167, "swapoff": 168,
    "reboot": 169, "sethostname": 170, "setdomainname": 171, "iopl": 172, "ioperm": 173, "init_module": 175,
    "delete_module": 176, "quotactl": 179, "gettid": 186, "setxattr": 188, "lsetxattr": 189, "fsetxattr": 190,
    "removexattr": 197, "lremovexattr": 198, "fremovexattr": 199, "tkill": 200, "futex": 202, "sched_getaffinity": 204,
    "lookup_dcookie": 212, "restart_syscall": 219, "semtimedop": 220, "clock_settime": 227, "clock_gettime": 228,
    "clock_getres": 229, "clock_nanosleep": 230, "exit_group": 231, "tgkill": 234, "utimes": 235, "mq_open": 240,
    "mq_unlink": 241, "kexec_load": 246, "waitid": 247, "add_key": 248, "request_key": 249, "keyctl": 250,
    "openat": 257, "mkdirat": 258, "mknodat": 259, "fchownat": 260, "futimesat": 261, "unlinkat": 263, "renameat": 264,
    "linkat": 265, "symlinkat": 266, "fchmodat": 268, "ppoll": 271, "unshare": 272, "set_robust_list": 273,
    "splice": 275, "tee": 276, "vmsplice": 278, "utimensat": 280, "fallocate": 285, "perf_event_open": 298,
    "fanotify_init": 300, "prlimit64": 302, "name_to_handle_at": 303, "open_by_handle_at": 304, "clock_adjtime": 305,
    "sendmmsg": 307, "setns": 308, "process_vm_readv": 310, "process_vm_writev": 311, "kcmp": 312, "finit_module": 313,
    "renameat2": 316, "seccomp": 317, "getrandom": 318, "memfd_create": 319, "kexec_file_load": 320, "bpf": 321,
    "execveat": 322, "userfaultfd": 323, "copy_file_range": 326, "rseq": 334,
}  # fmt: skip

_AARCH64 = _EVERYWHERE | {
    "setxattr": 5, "lsetxattr": 6, "fsetxattr": 7, "removexattr": 14, "lremovexattr": 15, "fremovexattr": 16,
    "lookup_dcookie": 18, "fcntl": 25, "ioctl": 29, "mknodat": 33, "mkdirat": 34, "unlinkat": 35, "symlinkat": 36,
    "linkat": 37, "renameat": 38, "umount2": 39, "mount": 40, "pivot_root": 41, "truncate": 45, "fallocate": 47,
    "chroot": 51, "fchmod": 52, "fchmodat": 53, "fchownat": 54, "fchown": 55, "openat": 56, "close": 57, "vhangup": 58,
    "quotactl": 60, "lseek": 62, "read": 63, "write": 64, "readv": 65, "writev": 66, "sendfile": 71, "ppoll": 73,
    "vmsplice": 75, "splice": 76, "tee": 77, "fstat": 80, "utimensat": 88, "acct": 89, "personality": 92, "exit": 93,
    "exit_group": 94, "waitid": 95, "unshare": 97, "futex": 98, "set_robust_list": 99, "nanosleep": 101,
    "kexec_load": 104, "init_module": 105, "delete_module": 106, "clock_settime": 112, "clock_gettime": 113,
    "clock_getres": 114, "clock_nanosleep": 115, "syslog": 116, "ptrace": 117, "sched_getaffinity": 123,
    "sched_yield": 124, "restart_syscall": 128, "kill": 129, "tkill": 130, "tgkill": 131, "sigaltstack": 132,
    "rt_sigaction": 134, "rt_sigprocmask": 135, "rt_sigreturn": 139, "reboot": 142, "setrlimit": 164,
    "sethostname": 161, "setdomainname": 162, "getrusage": 165, "prctl": 167, "settimeofday": 170, "adjtimex": 171,
    "getpid": 172, "getppid": 173, "gettid": 178, "sysinfo": 179, "mq_open": 180, "mq_unlink": 181, "msgget": 186,
    "msgctl": 187, "msgrcv": 188, "msgsnd": 189, "semget": 190, "semctl": 191, "semtimedop": 192, "semop": 193,
    "shmget": 194, "shmctl": 195, "shmat": 196, "shmdt": 197, "socket": 198, "socketpair": 199, "bind": 200,
    "listen": 201, "accept": 202, "connect": 203, "sendto": 206, "recvfrom": 207, "sendmsg": 211, "recvmsg": 212,
    "brk": 214, "munmap": 215, "mremap": 216, "add_key": 217, "request_key": 218, "keyctl": 219, "clone": 220,
    "execve": 221, "mmap": 222, "swapon": 224, "swapoff": 225, "mlockall": 230, "mprotect": 226, "madvise": 233,
    "perf_event_open": 241, "wait4": 260, "prlimit64": 261, "fanotify_init": 262, "name_to_handle_at": 264,
    "open_by_handle_at": 265, "clock_adjtime": 266, "setns": 268, "sendmmsg": 269, "process_vm_readv": 270,
    "process_vm_writev": 271, "kcmp": 272, "finit_module": 273, "renameat2": 276, "seccomp": 277, "getrandom": 278,
    "memfd_create": 279, "bpf": 280, "execveat": 281, "userfaultfd": 282, "copy_file_range": 285, "rseq": 293,
    "kexec_file_load": 294,
}  # fmt: skip

_TABLES: Mapping[str, Mapping[str, int]] = {"x86_64": _X86_64, "aarch64": _AARCH64}


def machine() -> str:
    """This machine's name if its numbers are known, else ""."""
    name = platform.machine()
    return name if name in _TABLES else ""


def numbers(arch: str, names: Sequence[str]) -> list[int]:
    """The numbers of those calls that ``arch`` has."""
    table = _TABLES[arch]
    return [table[name] for name in names if name in table]


def number(name: str) -> int:
    """Of a call that this machine has. Raises KeyError."""
    return _TABLES[machine()][name]
