"""Where photos are decoded: in an isolated worker, or (tests, tools) in this process by the same function."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from mesh.errors import Invalid, MeshError
from mesh.isolation.metrics import IsolationMetrics
from mesh.isolation.nursery import Nursery
from mesh.isolation.outcome import Outcome, Refused
from mesh.isolation.workers import Workers
from mesh.lockdown.policy import Strictness
from services.render import decoder

SECONDS = 20.0  # of one decode; 80 million pixels take about 3
MEMORY_BYTES = 1 << 30  # 80 million pixels with transparency take about 750 MiB
_ANSWER_BYTES = decoder.HEAD.size + 4 * decoder.WORK_SIDE**2


@dataclass(frozen=True, slots=True)
class Decoded:
    """rgb: uint8 (H, W, 3), sRGB. shape: uint8 (H, W), transparency, if the photo has any."""

    rgb: NDArray[np.uint8]
    shape: NDArray[np.uint8] | None


class Decode(Protocol):
    """format: "jpeg", "png", …; raises Invalid: MALFORMED_PHOTO, PHOTO_TOO_LARGE; Unavailable."""

    def __call__(self, format: str, frames: Sequence[bytes], /) -> Decoded: ...


def malformed() -> Invalid:
    return Invalid("MALFORMED_PHOTO", "The photo cannot be decoded; save it again and send that.", field="photo")


def too_large() -> Invalid:
    return Invalid(
        "PHOTO_TOO_LARGE",
        "The photo has too many pixels; send a smaller copy.",
        field="photo",
        limit=decoder.MAX_PIXELS,
    )


# What a decoder dies of is, to its caller, a photo that can't be decoded.
ERRORS: Mapping[str, Callable[[], MeshError]] = {
    "malformed_photo": malformed,
    "photo_too_large": too_large,
    Outcome.OUT_OF_MEMORY: too_large,
    Outcome.CRASHED: malformed,
}


def workers(
    *, slots: int, metrics: IsolationMetrics, strictness: Strictness = "strict", nursery: Nursery | None = None
) -> Workers:
    """As many children as there are engine slots: each slot decodes one photo at a time."""
    return Workers(
        "services.render.decoder",
        children=slots,
        memory_bytes=MEMORY_BYTES,
        answer_bytes=_ANSWER_BYTES,
        errors=ERRORS,
        metrics=metrics,
        strictness=strictness,
        nursery=nursery,
    )


class IsolatedDecode:
    """Blocks its thread, which must not be the event loop's, until the child is gone."""

    def __init__(self, isolated: Workers) -> None:
        self._workers = isolated

    def __call__(self, format: str, frames: Sequence[bytes], /) -> Decoded:
        return _pixels(self._workers.run_sync([format.encode("ascii"), *frames], seconds=SECONDS))


def decode_here(format: str, frames: Sequence[bytes], /) -> Decoded:
    """For tests, and for photos of one's own."""
    try:
        answer = decoder.run([memoryview(format.encode("ascii")), *(memoryview(frame) for frame in frames)])
    except Refused as refused:
        code = refused.code
    else:
        return _pixels(b"".join(answer))
    raise ERRORS[code]()


def _pixels(answer: bytes | bytearray) -> Decoded:
    """MALFORMED_PHOTO for an answer that doesn't add up, as only a child under somebody's control gives."""
    if len(answer) < decoder.HEAD.size:
        raise malformed()
    width, height, shaped = decoder.HEAD.unpack_from(answer)
    area, start = width * height, decoder.HEAD.size
    if not 0 < min(width, height) <= max(width, height) <= decoder.WORK_SIDE or len(answer) != start + area * (
        4 if shaped else 3
    ):
        raise malformed()
    rgb = np.frombuffer(answer, np.uint8, area * 3, start).reshape(height, width, 3)
    shape = np.frombuffer(answer, np.uint8, area, start + area * 3).reshape(height, width) if shaped else None
    return Decoded(rgb, shape)
