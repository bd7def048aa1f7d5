"""Whether a page of this process can reach a swap area."""

from __future__ import annotations

import resource
from pathlib import Path

from mesh.kernel.calls import lock_pages

SWAPS = Path("/proc/swaps")
_CGROUPS = Path("/sys/fs/cgroup")
_CAP_IPC_LOCK = 14  # <linux/capability.h>


def is_off() -> bool:
    """True if the kernel has no swap area (/proc/swaps has its header line only); False where that can't be seen."""
    try:
        return len(SWAPS.read_text("ascii").splitlines()) <= 1
    except OSError:
        return False


def limits() -> list[Path]:
    """The files that say how much this process's control groups may swap, innermost first (cgroups(7), version 2)."""
    try:
        lines = Path("/proc/self/cgroup").read_text("ascii").splitlines()
    except (OSError, UnicodeDecodeError):
        return []
    groups = [_CGROUPS / line[3:].lstrip("/") for line in lines if line.startswith("0::")]
    return [folder / "memory.swap.max" for group in groups for folder in (group, *group.parents) if _is_group(folder)]


def is_barred() -> bool:
    """Whether one of its control groups may swap nothing, as in a container whose memswap_limit is its mem_limit."""
    return any(_reads_zero(path) for path in limits())


def lock() -> bool:
    """Locks this process's pages, if it may lock all that it will ever have. Says whether they are locked."""
    if _may_lock():
        try:
            lock_pages()
        except OSError:
            return False
    return are_locked()


def are_locked() -> bool:
    """Asked of the kernel (proc_pid_status(5))."""
    return int(_status().get("VmLck", "0 kB").split()[0]) > 0


def _may_lock() -> bool:
    """Without a limit: with one, a mapping beyond it would fail one day instead."""
    unlimited = resource.getrlimit(resource.RLIMIT_MEMLOCK)[0] == resource.RLIM_INFINITY
    return unlimited or bool(int(_status().get("CapEff", "0"), 16) >> _CAP_IPC_LOCK & 1)


def _status() -> dict[str, str]:
    try:
        lines = Path("/proc/self/status").read_text("ascii", "replace").splitlines()
    except OSError:
        return {}
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def _is_group(folder: Path) -> bool:
    return folder == _CGROUPS or _CGROUPS in folder.parents


def _reads_zero(path: Path) -> bool:
    try:
        return path.read_text("ascii").strip() == "0"
    except OSError:
        return False
