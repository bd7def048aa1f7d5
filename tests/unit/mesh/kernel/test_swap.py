"""Whether a page can reach a swap area: by the host's areas, the control groups' limits, or locked pages."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mesh.isolation import child
from mesh.kernel import swap
from tests.unit.mesh.lockdown.programs import said


def test_off_is_a_table_with_nothing_but_its_header(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert swap.is_off() is (len(Path("/proc/swaps").read_text().splitlines()) <= 1)
    table = tmp_path / "swaps"
    monkeypatch.setattr(swap, "SWAPS", table)
    assert not swap.is_off()
    table.write_text("Filename\tType\tSize\tUsed\tPriority\n")
    assert swap.is_off()
    table.write_text(table.read_text() + "/swapfile file 1 0 -2\n")
    assert not swap.is_off()


def test_a_control_group_anywhere_above_bars_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    group = tmp_path / "a" / "b"
    group.mkdir(parents=True)
    files = [group / "memory.swap.max", tmp_path / "a" / "memory.swap.max"]
    monkeypatch.setattr(swap, "limits", lambda: files)
    assert not swap.is_barred()
    files[0].write_text("max\n")
    assert not swap.is_barred()
    files[1].write_text("0\n")
    assert swap.is_barred()


def test_limits_are_looked_for_in_each_group_of_ours() -> None:
    for path in swap.limits():
        assert path.name == "memory.swap.max" and path.is_relative_to("/sys/fs/cgroup")


def test_pages_are_locked_by_whoever_may() -> None:
    before, answer, after = said("""
        from mesh.kernel import swap
        before = swap.are_locked()
        print(json.dumps([before, swap.lock(), swap.are_locked()]))
    """)
    assert (before, answer) == (False, after)
    assert after or os.geteuid() != 0


def test_a_child_locks_its_own_before_its_first_byte() -> None:
    """Or, where it may not, does no work."""
    locked, ended = said("""
        import os, socket
        from mesh.isolation import child
        ours, theirs = socket.socketpair()
        template = os.getpid()
        pid = os.fork()
        if pid == 0:
            child.work(theirs.fileno(), list, template=template, cpu_seconds=5, memory_bytes=1 << 40, strict=True,
                       locked=True)
        theirs.close()
        locked = False
        while not locked and os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            status = Path(f"/proc/{pid}/status").read_text()
            locked = "VmLck" in status and "VmLck:\\t       0 kB" not in status
        ours.close()
        print(json.dumps([locked, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])]))
    """)
    assert (locked, ended) == ((True, child.EXIT_BROKEN) if os.geteuid() == 0 else (False, child.EXIT_UNLOCKED))
