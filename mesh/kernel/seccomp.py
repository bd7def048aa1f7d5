"""Filters of system calls: written as classic BPF, installed, asked for.

seccomp(2), bpf(4), <linux/filter.h>, <linux/seccomp.h>. libseccomp would write the same program, but it is a system
package that a slim image may not have.
"""

from __future__ import annotations

import ctypes
import errno
import struct
from collections.abc import Sequence

from mesh.kernel.calls import PR_GET_SECCOMP, PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, prctl, syscall
from mesh.kernel.numbers import AUDIT_ARCH, machine, number, numbers

Program = list[tuple[int, int, int, int]]
"""(code, jump if true, jump if false, constant); a filter is at most 4,096 of them."""

LOAD, JUMP_EQUAL, JUMP_AT_LEAST, JUMP_ANY_BIT, AND, RETURN = 0x20, 0x15, 0x35, 0x45, 0x54, 0x06
ALLOW, KILL_PROCESS = 0x7FFF0000, 0x80000000
_ERRNO = 0x00050000
_NUMBER_AT, _ARCH_AT, _ARGUMENT_AT = 0, 4, 16  # struct seccomp_data; arguments are 64 bits, little endian
_X32 = 0x40000000  # x86-64's other calling convention: the same calls by other numbers
_SET_MODE_FILTER, _FLAG_TSYNC = 1, 1
_MODE_FILTER = 2


def fails(error: int) -> int:
    """The answer that makes a call fail with ``error``."""
    return _ERRNO | error


def prologue() -> Program:
    """Kills calls of another architecture; leaves the call's number loaded."""
    arch = machine()
    program = [(LOAD, 0, 0, _ARCH_AT), (JUMP_EQUAL, 1, 0, AUDIT_ARCH[arch]), (RETURN, 0, 0, KILL_PROCESS), reload()]
    if arch == "x86_64":
        program += [(JUMP_AT_LEAST, 0, 1, _X32), (RETURN, 0, 0, KILL_PROCESS)]
    # glibc then starts threads by clone, whose flags can be looked at.
    return program + answer(("clone3",), fails(errno.ENOSYS))


def reload() -> tuple[int, int, int, int]:
    """Loads the call's number."""
    return (LOAD, 0, 0, _NUMBER_AT)


def argument(index: int) -> tuple[int, int, int, int]:
    """Loads the lower half of an argument."""
    return (LOAD, 0, 0, _ARGUMENT_AT + 8 * index)


def argument_above(index: int) -> tuple[int, int, int, int]:
    """Loads the upper half."""
    return (LOAD, 0, 0, _ARGUMENT_AT + 8 * index + 4)


def answer(names: Sequence[str], said: int) -> Program:
    """``said`` for each of these calls that the machine has."""
    return [
        instruction
        for call in numbers(machine(), names)
        for instruction in ((JUMP_EQUAL, 0, 1, call), (RETURN, 0, 0, said))
    ]


def case(name: str, then: Program) -> Program:
    """``then`` for one call; whoever falls out of it goes on with the number loaded again. Nothing if there is none."""
    return [
        instruction
        for call in numbers(machine(), (name,))
        for instruction in ((JUMP_EQUAL, 0, len(then) + 1, call), *then, reload())
    ]


def install(program: Program) -> None:
    """For this thread and what it starts; filters add up, the strictest answer counts. Raises OSError."""
    with _assembled(program) as head:
        prctl(PR_SET_NO_NEW_PRIVS, 1)
        prctl(PR_SET_SECCOMP, _MODE_FILTER, ctypes.addressof(head))


def install_for_all_threads(program: Program) -> None:
    """As ``install``, also for threads that run already. Raises OSError."""
    with _assembled(program) as head:
        prctl(PR_SET_NO_NEW_PRIVS, 1)
        unable = syscall(number("seccomp"), _SET_MODE_FILTER, _FLAG_TSYNC, head)
    if unable:  # the id of a thread that has another filter
        raise OSError(errno.ESRCH, "a thread has a filter of its own")


def in_force() -> bool:
    """Asked of the kernel: whether this thread has any filter."""
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


class _assembled:
    """struct sock_fprog, for as long as the block lasts."""

    def __init__(self, program: Program) -> None:
        code = b"".join(struct.pack("HBBI", *instruction) for instruction in program)
        self._code = ctypes.create_string_buffer(code, len(code))
        self._head = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(program), ctypes.addressof(self._code)))

    def __enter__(self) -> ctypes.Array[ctypes.c_char]:
        return self._head

    def __exit__(self, *_: object) -> None:
        """The kernel has its own copy."""
