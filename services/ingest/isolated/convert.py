"""The parent's side: a file goes into an isolated worker, a plain JPEG or PNG comes out, and what was left behind."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from prometheus_client import CollectorRegistry

from mesh.errors import Invalid, MeshError
from mesh.isolation.metrics import IsolationMetrics
from mesh.isolation.nursery import Nursery
from mesh.isolation.outcome import Outcome
from mesh.isolation.workers import Workers
from mesh.lockdown.policy import Strictness
from services.ingest import refusals
from services.ingest.isolated import codes
from services.ingest.isolated.notes import Notes
from services.ingest.limits import MIB, Limits
from services.ingest.report import Facts, Format, Source

SECONDS = 30.0  # of one conversion; 12 megapixels of HEIC take about 1.3
MEMORY_BYTES = 1536 * MIB
BYTES_PER_PIXEL = 24  # measured, of the process at its worst moment, beside the file: HEIC 16, AVIF 22, TIFF and BMP 24
_COPIES = 2  # of the file
_MOST_NOTES = 64 * 1024


class Converter:
    """A component. ``children``: conversions and checks at the same time."""

    def __init__(
        self,
        limits: Limits,
        *,
        metrics: IsolationMetrics,
        children: int = 2,
        memory_bytes: int = MEMORY_BYTES,
        strictness: Strictness = "strict",
        nursery: Nursery | None = None,
    ) -> None:
        self._max_pixels = min(limits.max_pixels, _pixels_in(memory_bytes - _COPIES * limits.max_bytes))
        self._max_dimension = limits.max_dimension
        self._max_bytes = limits.max_bytes
        self._workers = Workers(
            "services.ingest.isolated.worker",
            children=children,
            memory_bytes=memory_bytes,
            answer_bytes=limits.max_bytes + _MOST_NOTES,
            errors=_errors(self._max_pixels, limits),
            metrics=metrics,
            strictness=strictness,
            nursery=nursery,
        )

    @property
    def max_pixels(self) -> int:
        """Of one picture; may be less than the limits have for scrubbing."""
        return self._max_pixels

    @property
    def ready(self) -> bool:
        return self._workers.ready

    async def start(self) -> None:
        """Raises ConfigError."""
        await self._workers.start()

    async def stop(self) -> None:
        await self._workers.stop()

    async def convert(self, source: Source, chunks: Sequence[bytes]) -> tuple[memoryview, Notes]:
        """The picture, which has yet to be scrubbed, and what was removed. Raises Invalid, Unavailable."""
        order = {"source": source.value, "max_pixels": self._max_pixels, "max_dimension": self._max_dimension}
        answer = memoryview(await self._workers.run([json.dumps(order).encode(), *chunks], seconds=SECONDS))
        return _parted(answer, sum(map(len, chunks)))

    async def recolour(self, facts: Facts, head: bytes, scrubbed: Sequence[bytes | memoryview]) -> memoryview | None:
        """The scrubbed picture, drawn anew upright and in sRGB through the profile in ``head``, the upload's beginning.

        None when the profile is of no use. Raises Invalid, Unavailable.
        """
        order = {"recolour": facts.format.value, "orientation": facts.orientation, "max_bytes": self._max_bytes}
        answer = await self._workers.run([json.dumps(order).encode(), head, *scrubbed], seconds=SECONDS)
        return memoryview(answer) if answer else None

    async def check(self, format: Format, chunks: Sequence[bytes | memoryview]) -> None:
        """Decodes a scrubbed photo at reduced size. Raises Invalid(MALFORMED_PHOTO), Unavailable."""
        order = {"reduced": True, "format": format.value}
        await self._workers.run([json.dumps(order).encode(), *chunks], seconds=SECONDS)


def _pixels_in(memory_bytes: int) -> int:
    return max(1, memory_bytes // BYTES_PER_PIXEL)


def unmetered() -> IsolationMetrics:
    """For a converter outside a service."""
    return IsolationMetrics(CollectorRegistry(), "ingest")


def _errors(max_pixels: int, limits: Limits) -> Mapping[str, Callable[[], MeshError]]:
    """What a decoder dies of is, to its caller, a photo that can't be decoded."""
    return {
        codes.MALFORMED: lambda: refusals.malformed("its picture"),
        codes.TRUNCATED: refusals.truncated,
        codes.RAW: lambda: refusals.unsupported("a camera RAW file"),
        codes.CODING: lambda: refusals.unsupported_coding("This file's compression is one that we don't read"),
        codes.DIMENSION: lambda: refusals.dimension_too_large(limits.max_dimension),
        codes.PIXELS: lambda: refusals.too_many_pixels(max_pixels),
        codes.SEGMENTS: lambda: refusals.too_many_segments(limits.max_segments),
        Outcome.CRASHED: lambda: refusals.malformed("its picture"),
        Outcome.OUT_OF_MEMORY: lambda: refusals.too_many_pixels(max_pixels),
    }


def _parted(answer: memoryview, uploaded: int) -> tuple[memoryview, Notes]:
    """The child may be under the file's control: notes that don't fit the closed lists are a damaged photo."""
    refusal: Invalid | None = None
    try:
        (size,) = struct.unpack_from("<I", answer)
        if not 0 < size <= _MOST_NOTES:
            raise ValueError
        said: Any = json.loads(bytes(answer[4 : 4 + size]))
        return answer[4 + size :], Notes.checked(said, uploaded)
    except (ValueError, KeyError, TypeError, AttributeError, struct.error, RecursionError):
        refusal = refusals.malformed("its picture")
    raise refusal
