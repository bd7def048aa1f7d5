"""A service with some of the measures of ``mesh.forgetting`` only, for comparison.

``python -m benchmarks.retentive``: the service by MAYFLY_INSTANCE, the measures by BENCH_MEASURES, comma-separated,
from ``MEASURES``. Everything else, the lockdown included, is as in the mesh.
"""

import importlib
import os
import sys
from types import SimpleNamespace
from typing import Any

from mesh import app, assembly, streams
from mesh.forgetting import environment, rinse, sweep
from mesh.lockdown import locking

_TUNABLES = {
    "perturb": ("glibc.malloc.perturb",),
    "tcache": ("glibc.malloc.tcache_count",),
    "thresholds": ("glibc.malloc.mmap_threshold", "glibc.malloc.trim_threshold"),
    "arenas": ("glibc.malloc.arena_max",),
    "stacks": ("glibc.pthread.stack_cache_size",),
}
MEASURES = (*_TUNABLES, "pymalloc", "reads", "collect", "rinse", "idle", "trim")


def settings(chosen: set[str]) -> dict[str, str]:
    """The environment that these measures ask for."""
    names = [name for measure, names in _TUNABLES.items() if measure in chosen for name in names]
    wanted = {"ORT_DISABLE_TELEMETRY": "1"}
    if names:
        wanted["GLIBC_TUNABLES"] = ":".join(f"{name}={environment.TUNABLES[name]}" for name in names)
    if "pymalloc" in chosen:
        wanted["PYTHONMALLOC"] = "malloc"
    return wanted


def start_with(wanted: dict[str, str]) -> None:
    """As ``environment.ensure``."""
    given = {name: value for name, value in os.environ.items() if name not in environment.SETTINGS}
    if os.environ != given | wanted:
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], given | wanted)


async def _nothing(*_: Any) -> bool:
    return True


async def _plain_read(message: Any) -> Any:
    return await message


def leave_out(chosen: set[str]) -> None:
    """Takes away what isn't chosen of the measures that are in the code."""
    if "reads" not in chosen:
        streams.read = _plain_read
    if "collect" not in chosen:
        sweep.gc = SimpleNamespace(collect=lambda: 0, freeze=lambda: None)
    if "rinse" not in chosen:
        rinse.Rinsing.__call__ = _nothing  # type: ignore[method-assign]
    if "trim" not in chosen:
        sweep.ctypes = SimpleNamespace(CDLL=lambda _: None)
    if "idle" not in chosen:
        assembly.EDGE_IDLE_SECONDS = 0.0


def main() -> None:
    chosen = set(filter(None, os.environ["BENCH_MEASURES"].split(",")))
    start_with(settings(chosen))
    environment.ensure = lambda: None
    locking.selfcheck = SimpleNamespace(freed_memory_is_overwritten=lambda: True)  # type: ignore[assignment]
    leave_out(chosen)
    service = os.environ["MAYFLY_INSTANCE"].partition("-")[0]
    config = importlib.import_module(f"services.{service}.config")
    app.main(service, f"services.{service}.wiring", getattr(config, f"{service.title()}Settings"))


if __name__ == "__main__":
    main()
