"""Code that has taken over a decoder tries to get out; the kernel says no, and the parent goes on."""

from __future__ import annotations

from pathlib import Path

import pytest

from mesh.errors import Invalid
from tests.unit.mesh.isolation import hostile
from tests.unit.mesh.isolation.conftest import Pool


@pytest.mark.parametrize("attempt", hostile.REFUSED)
async def test_the_kernel_refuses(pool: Pool, attempt: str) -> None:
    assert await pool.ask(attempt) in (b"EPERM", b"EACCES", b"EMFILE", b"EBADF")


@pytest.mark.parametrize("attempt", hostile.FATAL)
async def test_the_kernel_kills(pool: Pool, attempt: str) -> None:
    with pytest.raises(Invalid, match="CRASHED"):
        await pool.ask(attempt)
    assert pool.counted() == {"forbidden": 1}
    assert await pool.ask("echo", b"the next one") == b"the next one"


def found() -> list[str]:
    return [folder for folder in (".", "/tmp", "/var/tmp", "/dev/shm") if Path(folder, "mayfly-broke-out").exists()]


async def test_nothing_was_left_anywhere(pool: Pool) -> None:
    for attempt in hostile.REFUSED:
        await pool.ask(attempt)
    assert not found()


async def test_threads_are_held_too(pool: Pool) -> None:
    assert await pool.ask("thread") == b"PermissionError"


async def test_no_job_meets_another(pool: Pool) -> None:
    assert {await pool.ask("keep") for _ in range(5)} == {b"1"}
    assert len({await pool.ask("who") for _ in range(5)}) == 5
