"""Ways to find the next marker in entropy-coded JPEG data, which is where a JPEG's scrub spends its time."""

from __future__ import annotations

import re
import statistics
import time
from collections.abc import Callable

import numpy as np

from benchmarks.scrub_ours import frames

Scan = Callable[[bytes], int]
"""The number of markers (0xFF and not 0x00) in a frame."""

_MARKER = re.compile(rb"\xff[^\x00]")


def by_regex(frame: bytes) -> int:
    return sum(1 for _ in _MARKER.finditer(frame))


def by_regex_over_view(frame: bytes) -> int:
    return sum(1 for _ in _MARKER.finditer(memoryview(frame)))


def by_find(frame: bytes) -> int:
    count, at = 0, frame.find(b"\xff")
    while 0 <= at < len(frame) - 1:
        count += frame[at + 1] != 0
        at = frame.find(b"\xff", at + 1 + (frame[at + 1] == 0))
    return count


def by_count(frame: bytes) -> int:
    """Tells whether there is a marker, but not where."""
    return frame[:-1].count(b"\xff") - frame.count(b"\xff\x00")


def by_numpy(frame: bytes) -> int:
    data = np.frombuffer(frame, np.uint8)
    at = np.flatnonzero(data[:-1] == 0xFF)
    return int(np.count_nonzero(data[at + 1]))


SCANS: dict[str, Scan] = {
    "regular expression over bytes (ours)": by_regex,
    "regular expression over a memoryview": by_regex_over_view,
    "bytes.count, twice": by_count,
    "numpy, == and flatnonzero": by_numpy,
    "bytes.find in a loop": by_find,
}


def measure(data: bytes, rounds: int) -> dict[str, float]:
    """Median CPU seconds for the picture data of a baseline JPEG, in turns."""
    start = data.rindex(b"\xff\xda") + 14  # a thumbnail has one too
    cut = list(frames(data[start:-2]))
    times: dict[str, list[float]] = {name: [] for name in SCANS}
    for _ in range(rounds):
        for name, scan in SCANS.items():
            began = time.process_time()
            found = sum(map(scan, cut))
            times[name].append(time.process_time() - began)
            assert found == 0, "a baseline JPEG without restarts has no marker in its data"
    return {name: statistics.median(samples) for name, samples in times.items()}
