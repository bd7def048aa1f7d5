"""The property: any bytes, in any chunks, are refused with ``Invalid``, or leave as what the verifier accepts."""

from __future__ import annotations

import random
from collections.abc import Iterator

from mesh.errors import Invalid
from services.ingest.limits import Limits
from services.ingest.refusals import Reason
from services.ingest.report import Facts
from services.ingest.scrub import Scrubber
from services.ingest.verify import Verifier

GROWTH = 1024  # bytes by which an output may exceed its input: our own profile, VP8X, tables in segments of their own
_LIMITS = Limits(max_pixels=1_000_000)
_INFLATING = Limits(max_pixels=1_000_000, inflate_idat=True)


class Broken(AssertionError):
    """The property doesn't hold."""


def check(data: bytes, chance: random.Random) -> Reason | None:
    """The reason of the refusal, None if accepted. Raises Broken, Disagreement, or whatever a parser let out."""
    limits = _INFLATING if chance.random() < 0.5 else _LIMITS
    first = outcome(data, chunks(data, chance), limits)
    if chance.random() < 1 / 8 and outcome(data, chunks(data, chance), limits) != first:
        raise Broken("the outcome depends on the chunks")
    if isinstance(first, Reason):
        return first
    clean, facts = first
    if len(clean) > len(data) + GROWTH:
        raise Broken(f"{len(data)} bytes became {len(clean)}")
    if chance.random() < 1 / 4:
        again = outcome(clean, chunks(clean, chance), limits)
        if isinstance(again, Reason) or again[0] != clean:
            raise Broken("a second scrub differs")
        if (again[1].width, again[1].height, again[1].has_alpha) != (facts.width, facts.height, facts.has_alpha):
            raise Broken("a second scrub sees another picture")
    return None


def outcome(data: bytes, pieces: Iterator[bytes], limits: Limits) -> tuple[bytes, Facts] | Reason:
    """Scrubbed and verified as ingest does both: nothing leaves the verifier that it hasn't read."""
    scrubber, verifier, out = Scrubber(limits), Verifier(), bytearray()
    try:
        for piece in pieces:
            for leaving in verifier.feed(scrubber.feed(piece)):
                out += leaving
        tail, facts = scrubber.finish()
    except Invalid as refused:
        return Reason(refused.reason)
    for leaving in verifier.feed(tail):
        out += leaving
    verifier.finish(facts)
    return bytes(out), facts


def chunks(data: bytes, chance: random.Random) -> Iterator[bytes]:
    """Mostly whole, else in a few pieces of any size, or (short files) byte by byte."""
    roll = chance.random()
    if roll < 0.7:
        yield data
    elif roll < 0.98 or len(data) > 1_500:
        bounds = sorted(chance.randrange(len(data) + 1) for _ in range(chance.randrange(1, 12)))
        for start, end in zip([0, *bounds], [*bounds, len(data)], strict=True):
            yield data[start:end]
    else:
        for at in range(len(data)):
            yield data[at : at + 1]
