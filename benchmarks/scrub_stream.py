"""What the scrub holds: how far its output lags behind its input, and the most memory it takes."""

from __future__ import annotations

import statistics
import time
import tracemalloc
from dataclasses import dataclass

from benchmarks.scrub_ours import FRAME, frames, verified
from services.ingest.limits import Limits
from services.ingest.scrub import Scrubber
from services.ingest.verify import Verifier


@dataclass(frozen=True)
class Lag:
    """first: bytes in when the first byte was out. held: the most that was neither out nor dropped after a frame.

    median, worst: wall seconds of one frame through the scrub and the second parser.
    """

    first: int
    held: int
    median: float
    worst: float


def lag(data: bytes, size: int = 64 * 1024) -> Lag:
    """``data`` must be of the form that the scrub leaves: then what isn't out is held."""
    scrubber, verifier = Scrubber(Limits()), Verifier()
    taken = given = first = held = 0
    seconds = []
    for frame in frames(data, size):
        began = time.perf_counter()
        given += sum(len(piece) for piece in verifier.feed(scrubber.feed(frame)))
        seconds.append(time.perf_counter() - began)
        taken += len(frame)
        first = first or (taken if given else 0)
        held = max(held, taken - given)
    return Lag(first, held, statistics.median(seconds), max(seconds))


def clean(data: bytes) -> bytes:
    scrubber = Scrubber(Limits())
    parts = [bytes(piece) for frame in frames(data) for piece in scrubber.feed(frame)]
    tail, _ = scrubber.finish()
    return b"".join([*parts, *map(bytes, tail)])


def peak(data: bytes) -> int:
    """Bytes that Python's allocator had out at the worst moment of scrub and verification, the frames included."""
    verified(data)  # caches and imports aren't a photo's
    tracemalloc.start()
    verified(data)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most


BOUND = 2 * FRAME + 64 * 1024
