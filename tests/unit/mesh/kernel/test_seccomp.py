"""The programs themselves, run on made-up calls: what each answers, on both architectures."""

from __future__ import annotations

import errno
import socket

import pytest

from mesh.isolation import filters as decoders
from mesh.kernel import numbers, seccomp
from mesh.kernel.seccomp import ALLOW, KILL_PROCESS, Program, fails
from mesh.lockdown import filters

EPERM, ENOSYS = fails(errno.EPERM), fails(errno.ENOSYS)


@pytest.fixture(params=["x86_64", "aarch64"])
def machine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr("platform.machine", lambda: request.param)
    name: str = request.param
    return name


def answer(program: Program, name: str | int, *arguments: int, arch: int = 0) -> int:
    """What the program says to a call; bpf(4), as far as ours go."""
    call = numbers.number(name) if isinstance(name, str) else name
    words = {0: call, 4: arch or numbers.AUDIT_ARCH[numbers.machine()]}
    for index in range(6):
        value = arguments[index] if index < len(arguments) else 0
        words[16 + 8 * index], words[20 + 8 * index] = value & 0xFFFFFFFF, value >> 32
    at, accumulator = 0, 0
    while True:
        code, true, false, k = program[at]
        at += 1
        if code == seccomp.RETURN:
            return k
        if code == seccomp.LOAD:
            accumulator = words[k]
        elif code == seccomp.AND:
            accumulator &= k
        else:
            held = {
                seccomp.JUMP_EQUAL: accumulator == k,
                seccomp.JUMP_AT_LEAST: accumulator >= k,
                seccomp.JUMP_ANY_BIT: bool(accumulator & k),
            }[code]
            at += true if held else false


def test_another_architecture_is_killed(machine: str) -> None:
    for program in (filters.for_service(writes=False, unix_sockets=False), filters.for_the_locked()):
        assert answer(program, "read", arch=0x40000003) == KILL_PROCESS  # i386
    if machine == "x86_64":
        assert answer(filters.for_the_locked(), 0x40000000) == KILL_PROCESS  # x32


def test_every_refused_call_is_one_of_this_machine_or_of_the_other(machine: str) -> None:
    program = filters.for_service(writes=False, unix_sockets=False)
    lists = (
        filters.OTHER_PROCESSES, filters.HIDING_PLACES, filters.WAYS_AROUND, filters.ADMINISTRATION, filters.ALTERING,
        filters.WRITING,
    )  # fmt: skip
    for names in lists:
        for name in names:
            assert any(numbers.numbers(arch, (name,)) for arch in ("x86_64", "aarch64")), name
            for call in numbers.numbers(machine, (name,)):
                assert answer(program, call) == EPERM, name


@pytest.mark.parametrize(
    ("flags", "said"), [(0, ALLOW), (0o2000000, ALLOW), (1, EPERM), (2, EPERM), (0o100, EPERM), (0o1000, EPERM)]
)
def test_files_are_opened_to_be_read(machine: str, flags: int, said: int) -> None:
    assert answer(filters.for_service(writes=False, unix_sockets=False), "openat", 0, 0, flags) == said
    assert answer(filters.for_service(writes=True, unix_sockets=False), "openat", 0, 0, flags) == ALLOW
    assert answer(filters.for_service(writes=True, unix_sockets=False), "openat2") == ENOSYS


@pytest.mark.parametrize("inet", [socket.AF_INET, socket.AF_INET6])
@pytest.mark.parametrize("unix", [False, True])
def test_sockets_are_tcp(machine: str, inet: int, unix: bool) -> None:
    program = filters.for_service(writes=False, unix_sockets=unix)
    flags = socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
    for protocol, said in ((0, ALLOW), (6, ALLOW), (132, EPERM), (262, EPERM)):
        assert answer(program, "socket", inet, socket.SOCK_STREAM | flags, protocol) == said
    for kind in (socket.SOCK_DGRAM, socket.SOCK_RAW, socket.SOCK_SEQPACKET):
        assert answer(program, "socket", inet, kind | flags) == EPERM
    stream = ALLOW if unix else EPERM
    assert answer(program, "socket", socket.AF_UNIX, socket.SOCK_STREAM | flags) == stream
    assert answer(program, "socket", socket.AF_UNIX, socket.SOCK_DGRAM) == EPERM
    for family in (socket.AF_NETLINK, socket.AF_PACKET, 40, 38):  # vsock, the kernel's ciphers
        assert answer(program, "socket", family, socket.SOCK_STREAM) == EPERM
    assert answer(program, "socketpair", socket.AF_UNIX, socket.SOCK_STREAM | flags) == ALLOW
    assert answer(program, "socketpair", socket.AF_UNIX, socket.SOCK_SEQPACKET) == ALLOW
    for kind in (socket.SOCK_DGRAM, socket.SOCK_RAW, socket.SOCK_RDM, 10):  # the last: packets of the link layer
        assert answer(program, "socketpair", socket.AF_UNIX, kind | flags) == EPERM
    for family in (socket.AF_TIPC, inet, 0):
        assert answer(program, "socketpair", family, socket.SOCK_STREAM) == EPERM


def test_nothing_begins_to_listen_once_all_servers_do(machine: str) -> None:
    assert answer(filters.for_service(writes=False, unix_sockets=False), "listen", 3, 128) == ALLOW
    assert answer(filters.for_the_serving(), "listen", 3, 128) == EPERM
    for name in ("bind", "accept", "connect"):
        assert answer(filters.for_the_serving(), name) == ALLOW


def test_nothing_is_typed_into_a_terminal(machine: str) -> None:
    program = filters.for_service(writes=True, unix_sockets=True)
    for command in (0x5412, 0x541C, 0x1_0000_5412, 0xFFFF_FFFF_0000_541C):  # TIOCSTI, TIOCLINUX
        assert answer(program, "ioctl", 1, command) == EPERM
    for command in (0x5401, 0x5413, 0x5421):  # TCGETS, TIOCGWINSZ, FIONBIO
        assert answer(program, "ioctl", 1, command) == ALLOW


@pytest.mark.parametrize("namespace", [0x20000, *(0x2000000 << bit for bit in range(6))])
def test_nobody_gets_a_namespace_of_its_own(machine: str, namespace: int) -> None:
    """CLONE_NEWNS, and CLONE_NEWCGROUP to CLONE_NEWNET."""
    for program in (filters.for_service(writes=True, unix_sockets=True), decoders.for_template()):
        assert answer(program, "clone", 17 | namespace) == EPERM
        assert answer(program, "clone", 17) == ALLOW  # fork(3)
        assert answer(program, "clone", 0x3D0F00) == ALLOW  # pthread_create(3)
    assert answer(decoders.for_computing(7), "clone", 0x10000 | namespace) == KILL_PROCESS


def test_data_goes_over_connections_that_were_made_by_connect(machine: str) -> None:
    program = filters.for_service(writes=False, unix_sockets=False)
    for name, at in (("sendto", 3), ("sendmsg", 2), ("sendmmsg", 3)):
        assert answer(program, name, *([0] * at), 0x4000) == ALLOW  # MSG_NOSIGNAL
        assert answer(program, name, *([0] * at), 0x20004000) == EPERM


def test_the_locked_make_threads_and_ask_for_limits(machine: str) -> None:
    program = filters.for_the_locked()
    assert answer(program, "clone", 0x3D0F00) == ALLOW  # pthread_create(3)
    assert answer(program, "clone", 17) == EPERM  # fork(3)
    assert answer(program, "clone3") == ENOSYS
    assert answer(program, "prlimit64", 0, 4, 0, 0x7FFF_0000_0000) == ALLOW
    assert answer(program, "prlimit64", 0, 4, 0x1000, 0) == EPERM
    assert answer(program, "prlimit64", 0, 4, 0x1_0000_0000, 0) == EPERM  # its lower half is zero
    assert answer(program, "prctl", 4, 1) == EPERM
    assert answer(program, "prctl", 15) == ALLOW  # a thread's name
    assert answer(program, "execve") == EPERM


def test_what_is_newer_than_the_table_is_not_there(machine: str) -> None:
    program = filters.for_service(writes=True, unix_sockets=True)
    assert answer(program, numbers.NEWEST + 1) == ENOSYS
    assert answer(program, "file_setattr") == EPERM
    assert answer(program, "read") == ALLOW


def test_a_child_may_ask_for_a_thread_and_nothing_more(machine: str) -> None:
    program = decoders.for_computing(7)
    assert answer(program, "clone", 0x10000) == ALLOW
    assert answer(program, "clone", 0) == KILL_PROCESS
    assert answer(program, "tgkill", 7) == ALLOW
    assert answer(program, "tgkill", 8) == KILL_PROCESS
    assert answer(program, "mlockall") == EPERM
    assert answer(decoders.for_template(), "mlockall") == ALLOW
