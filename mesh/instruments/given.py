"""What prometheus_client's own collectors show of a process and its Python: the same names in every Python program."""

from __future__ import annotations

from mesh.instruments import declare
from mesh.instruments.label import listed, sourced

_GENERATION = (listed("generation", ("0", "1", "2")),)
_PYTHON = "the interpreter"

CPU_SECONDS = declare.Counter(
    name="process_cpu_seconds_total",
    help="Total user and system CPU time spent in seconds.",
    unit="seconds",
    services=declare.SERVICES,
)
RESIDENT_MEMORY = declare.Gauge(
    name="process_resident_memory_bytes",
    help="Resident memory size in bytes.",
    unit="bytes",
    services=declare.SERVICES,
)
VIRTUAL_MEMORY = declare.Gauge(
    name="process_virtual_memory_bytes",
    help="Virtual memory size in bytes.",
    unit="bytes",
    services=declare.SERVICES,
)
START_TIME = declare.Gauge(
    name="process_start_time_seconds",
    help="Start time of the process since unix epoch in seconds.",
    unit="seconds since 1970",
    services=declare.SERVICES,
)
OPEN_FILES = declare.Gauge(
    name="process_open_fds",
    help="Number of open file descriptors.",
    unit="file descriptors",
    services=declare.SERVICES,
)
MAX_FILES = declare.Gauge(
    name="process_max_fds",
    help="Maximum number of open file descriptors.",
    unit="file descriptors",
    services=declare.SERVICES,
)
PYTHON_INFO = declare.Gauge(
    name="python_info",
    help="Python platform information",
    unit="constant 1",
    services=declare.SERVICES,
    labels=tuple(sourced(name, _PYTHON, 1) for name in ("implementation", "major", "minor", "patchlevel", "version")),
)
COLLECTED = declare.Counter(
    name="python_gc_objects_collected_total",
    help="Objects collected during gc",
    unit="objects",
    services=declare.SERVICES,
    labels=_GENERATION,
)
UNCOLLECTABLE = declare.Counter(
    name="python_gc_objects_uncollectable_total",
    help="Uncollectable objects found during GC",
    unit="objects",
    services=declare.SERVICES,
    labels=_GENERATION,
)
COLLECTIONS = declare.Counter(
    name="python_gc_collections_total",
    help="Number of times this generation was collected",
    unit="collections",
    services=declare.SERVICES,
    labels=_GENERATION,
)
