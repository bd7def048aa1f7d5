# /proc is memory.
# ruff: noqa: ASYNC240, PTH115, PTH208
"""Every way a job can end: a typed error for one caller, a count, no process and no descriptor left."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from pathlib import Path

import pytest

from mesh.errors import ConfigError, Invalid, Unavailable
from mesh.isolation import nursery, policy
from mesh.testing.wait import eventually
from tests.unit.mesh.isolation.conftest import MIB, Pool, new_pool


def children_of(pid: int) -> list[int]:
    """proc_pid_task(5); zombies are listed too."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def memory_is_gone(pid: int) -> bool:
    """A process that is no more, or that only waits for whoever inherited it to look at its status."""
    try:
        return Path(f"/proc/{pid}/maps").read_text() == ""
    except (FileNotFoundError, ProcessLookupError):
        return True


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.parametrize(
    ("attempt", "reason", "outcome"),
    [
        ("crash", "CRASHED", "crashed"),
        ("abort", "CRASHED", "crashed"),
        ("allocate", "OUT_OF_MEMORY", "out_of_memory"),
        ("allocate_slowly", "OUT_OF_MEMORY", "out_of_memory"),
        ("refuse", "NOT_TODAY", "refused"),
        ("refuse_unknown", "CRASHED", "garbled"),
        ("huge_answer", "CRASHED", "garbled"),
        ("lie", "CRASHED", "crashed"),
        ("nonsense", "CRASHED", "garbled"),
        ("twice", "CRASHED", "garbled"),
        ("answer_and_die", "CRASHED", "crashed"),
        ("silent", "CRASHED", "crashed"),
    ],
)
async def test_a_bad_end_is_one_callers_error(pool: Pool, attempt: str, reason: str, outcome: str) -> None:
    with pytest.raises(Invalid) as error:
        await pool.ask(attempt)
    assert error.value.reason == reason
    assert pool.counted() == {outcome: 1}
    assert await pool.ask("echo", b"next") == b"next"


@pytest.mark.parametrize("attempt", ["spin", "wait"])
async def test_a_deadline_ends_it(pool: Pool, attempt: str) -> None:
    with pytest.raises(Invalid, match="CRASHED"):
        await pool.ask(attempt, seconds=0.2)
    assert pool.counted() == {"timed_out": 1}
    assert children_of(pool.workers.template_pid) == []


async def test_cancelling_returns_when_the_child_is_gone(pool: Pool) -> None:
    job = asyncio.create_task(pool.ask("wait"))
    await eventually(lambda: children_of(pool.workers.template_pid))
    (child,) = children_of(pool.workers.template_pid)
    job.cancel()
    with pytest.raises(asyncio.CancelledError):
        await job
    assert memory_is_gone(child)
    assert pool.counted() == {"cancelled": 1}
    assert await pool.ask("echo", b"next") == b"next"


@pytest.mark.parametrize("size", [0, 1, 1000, 300_000, 7 * MIB])
async def test_any_size_passes_in_any_number_of_parts(pool: Pool, size: int) -> None:
    data = os.urandom(size)
    for cut in (1, max(1, size // 3), max(1, size)):
        parts = [data[at : at + cut] for at in range(0, size, cut)] if size / cut < 2000 else [data]
        assert await pool.ask("echo", *parts) == data


async def test_no_more_children_than_allowed(pool: Pool) -> None:
    jobs = [asyncio.create_task(pool.ask("wait", seconds=0.3)) for _ in range(6)]
    most = 0

    async def count() -> None:
        nonlocal most
        while not all(job.done() for job in jobs):
            most = max(most, len(children_of(pool.workers.template_pid)))
            await asyncio.sleep(0)

    await count()
    await asyncio.gather(*jobs, return_exceptions=True)
    assert most == 2


async def test_two_hundred_jobs_leave_nothing(pool: Pool) -> None:
    await pool.ask("echo", b"warm")
    before = descriptors()

    async def one(number: int) -> None:
        name = ("echo", "crash", "refuse", "lie", "wait", "memfd", "echo", "echo")[number % 8]
        with contextlib.suppress(Invalid):
            await pool.ask(name, b"x" * number * 1000, seconds=0.05 if name == "wait" else 20)

    await asyncio.gather(*(one(number) for number in range(200)))
    assert sum(pool.counted().values()) == 201
    assert descriptors() == before
    await eventually(lambda: not children_of(pool.workers.template_pid))


async def test_a_dead_template_is_replaced(pool: Pool) -> None:
    first = pool.workers.template_pid
    job = asyncio.create_task(pool.ask("wait"))
    await eventually(lambda: children_of(first))
    (child,) = children_of(first)
    os.kill(first, signal.SIGKILL)
    with pytest.raises(Unavailable):
        await job
    assert await pool.ask("echo", b"next") == b"next"
    assert pool.workers.template_pid != first
    assert memory_is_gone(child)
    assert pool.counted() == {"unavailable": 1, "ok": 1}


async def test_the_template_ends_with_its_parent(pool: Pool) -> None:
    pid = pool.workers.template_pid
    await pool.workers.stop()
    assert memory_is_gone(pid)
    with pytest.raises(Unavailable):
        await pool.ask("echo")


async def test_the_template_inherits_nothing(pool: Pool) -> None:
    pid = pool.workers.template_pid
    names = {line.partition(b"=")[0] for line in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0") if line}
    assert names == {name.encode() for name in nursery.ENVIRONMENT}
    open_files = {os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")}
    assert {name.partition(":")[0] for name in open_files} == {"/dev/null", "socket"}
    assert sum(name.startswith("socket") for name in open_files) == 1


async def test_controls_are_read_back(pool: Pool) -> None:
    assert pool.workers.controls == {"decoders_landlock": True, "decoders_seccomp": True} == policy.available()
    status = Path(f"/proc/{pool.workers.template_pid}/status").read_text()
    assert "Seccomp:\t2" in status
    assert "NoNewPrivs:\t1" in status


async def test_from_another_thread(pool: Pool) -> None:
    assert await asyncio.to_thread(pool.workers.run_sync, [b"echo", b"there"], seconds=20) == b"there"


async def test_a_module_that_does_not_load_is_a_config_error() -> None:
    pool = new_pool("mesh.no_such_module")
    with pytest.raises(ConfigError, match="no_such_module"):
        await pool.workers.start()
