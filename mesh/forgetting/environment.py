"""What the C library and the interpreter read before any of our code runs: set by starting once more.

GLIBC_TUNABLES: https://www.gnu.org/software/libc/manual/html_node/Memory-Allocation-Tunables.html; mallopt(3).
LD_BIND_NOW: ld.so(8).
PYTHONMALLOC: https://docs.python.org/3/using/cmdline.html#envvar-PYTHONMALLOC.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Final

_MIB = 1 << 20

TUNABLES: Final[Mapping[str, int]] = {
    # Freed memory is overwritten with 165, new memory with its complement.
    "glibc.malloc.perturb": 165,
    # The cache per thread takes freed chunks before they are overwritten (glibc 2.36 and others).
    "glibc.malloc.tcache_count": 0,
    # A chunk beyond this goes back to the kernel at once. A frame of the mesh stays below, so that it costs no page
    # faults each time; a decoded photo is above.
    "glibc.malloc.mmap_threshold": 4 * _MIB,
    "glibc.malloc.trim_threshold": 32 * _MIB,
    # One arena for each thread keeps peaks that no other thread uses.
    "glibc.malloc.arena_max": 2,
    # Stacks of threads that have ended go back to the kernel instead of waiting, as they are, for the next thread.
    "glibc.pthread.stack_cache_size": 0,
}

SETTINGS: Final[Mapping[str, str]] = {
    "GLIBC_TUNABLES": ":".join(f"{name}={value}" for name, value in TUNABLES.items()),
    # The interpreter's own allocator keeps small objects as they were.
    "PYTHONMALLOC": "malloc",
    # A function that is bound at its first call has all vector registers saved on the stack, with what was copied last
    # in them, and the stack stays as it is (glibc, sysdeps/x86_64/dl-trampoline.h). So all are bound at the start.
    "LD_BIND_NOW": "1",
    # onnxruntime otherwise writes a database about its use below the home directory.
    "ORT_DISABLE_TELEMETRY": "1",
}

_AGAIN = "MAYFLY_STARTED_AGAIN"


def ensure() -> None:
    """Returns in a process that was started with ``SETTINGS``; starts this one once more, with them, otherwise.

    Must come first: everything in memory is lost. The process keeps its id and its open files. Whether the settings
    have had their effect is not this function's to say: see ``selfcheck``.
    """
    if all(os.environ.get(name) == value for name, value in SETTINGS.items()):
        return
    if os.environ.get(_AGAIN):
        return  # the loader takes tunables away from whoever has file capabilities (ld.so(8)); the check will say so
    again = {**os.environ, **SETTINGS, _AGAIN: "1"}
    os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], again)  # noqa: S606
