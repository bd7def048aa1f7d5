"""The scrub as ingest runs it, in one process: frames in, pieces out, with and without the second parser."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace

from PIL import Image

from benchmarks.scrub_photos import ENCODING, encoded
from services.ingest.limits import Limits
from services.ingest.scrub import Scrubber
from services.ingest.verify import Verifier

FRAME = 512 * 1024


def frames(data: bytes, size: int = FRAME) -> Iterator[bytes]:
    """Cut by slicing, which copies: as a frame off the wire is a copy."""
    return (data[start : start + size] for start in range(0, len(data), size))


def copied(data: bytes) -> None:
    for frame in frames(data):
        bytearray(frame)


def scrubbed(data: bytes, limits: Limits | None = None) -> None:
    scrubber = Scrubber(limits or Limits())
    for frame in frames(data):
        scrubber.feed(frame)
    scrubber.finish()


def verified(data: bytes) -> None:
    """The scrub, and its output read again by the verifier."""
    scrubber, verifier = Scrubber(Limits()), Verifier()
    for frame in frames(data):
        for _ in verifier.feed(scrubber.feed(frame)):
            pass
    tail, facts = scrubber.finish()
    for _ in verifier.feed(tail):
        pass
    verifier.finish(facts)


def inflated(data: bytes) -> None:
    scrubbed(data, replace(Limits(), inflate_idat=True))


def reencoded(data: bytes) -> None:
    """The usual way to strip: decode, build anew from pixels, encode as it was encoded."""
    with Image.open(io.BytesIO(data)) as image:
        clean = Image.frombytes(image.mode, image.size, image.tobytes())
        progressive = bool(image.info.get("progressive"))
        name = {"JPEG": "JPEG progressive" if progressive else "JPEG baseline", "WEBP": "WebP"}.get(
            image.format or "", image.format or ""
        )
    encoded(clean, **ENCODING[name])
