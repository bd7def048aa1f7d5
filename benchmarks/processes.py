"""What a process costs, told by the kernel: CPU time to the nanosecond, memory now and at its peak."""

from __future__ import annotations

import time
from pathlib import Path

MIB = 1 << 20
_SCHEDULED = 2  # CPUCLOCK_SCHED of linux/posix-timers_types.h: user and system time of all threads, the ended ones too


def cpu_seconds(pid: int) -> float:
    """User and system time of the process since its start; the clock that clock_getcpuclockid(3) hands out."""
    return time.clock_gettime(~pid << 3 | _SCHEDULED)


def resident(pid: int) -> float:
    """VmRSS, MiB."""
    return _field(pid, "VmRSS")


def peak(pid: int) -> float:
    """VmHWM, MiB: the most that was resident since the start, or since ``forget_peak``."""
    return _field(pid, "VmHWM")


def forget_peak(pid: int) -> None:
    """Sets VmHWM to what is resident now (proc(5), clear_refs). PermissionError where only root may."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def _field(pid: int, name: str) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        key, _, value = line.partition(":")
        if key == name:
            return int(value.split()[0]) / 1024
    raise ValueError(f"no {name} in /proc/{pid}/status")
