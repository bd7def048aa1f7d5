"""Runs a scrub over whole files, as the tests of every format do."""

from __future__ import annotations

from itertools import pairwise

from mesh.errors import Invalid
from services.ingest.limits import Limits
from services.ingest.refusals import Reason
from services.ingest.report import Facts
from services.ingest.scrub import Scrubber
from tests.photos import chunked

LIMITS = Limits()


def scrub(data: bytes, *, size: int = 1 << 16, limits: Limits = LIMITS) -> tuple[bytes, Facts]:
    """The scrubbed file, fed in chunks of ``size`` bytes."""
    scrubber = Scrubber(limits)
    pieces = [bytes(piece) for chunk in chunked(data, size) for piece in scrubber.feed(chunk)]
    last, facts = scrubber.finish()
    return b"".join(pieces) + b"".join(last), facts


def scrub_cut(data: bytes, cuts: list[int]) -> tuple[bytes, Facts]:
    """As ``scrub``, with the input cut at the given offsets (modulo its length)."""
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    scrubber = Scrubber(LIMITS)
    pieces = [bytes(piece) for start, end in pairwise(edges) for piece in scrubber.feed(data[start:end])]
    last, facts = scrubber.finish()
    return b"".join(pieces) + b"".join(last), facts


def refusal(data: bytes, *, limits: Limits = LIMITS, size: int = 1 << 16) -> Invalid:
    """The refusal that this file meets; a failure if it meets none."""
    try:
        scrub(data, limits=limits, size=size)
    except Invalid as refused:
        assert refused.reason in set(Reason)
        return refused
    raise AssertionError("the file was accepted")


def reason(data: bytes, *, limits: Limits = LIMITS) -> str:
    return refusal(data, limits=limits).reason


def accepts(data: bytes) -> bool:
    """Whether a file passes. Anything but ``Invalid`` propagates."""
    try:
        scrub(data)
    except Invalid:
        return False
    return True


def plain_id(value: object) -> str | None:
    """A parameter's name in test ids, the same in every run; None for files and functions (tests/conftest.py)."""
    return None if isinstance(value, bytes) or callable(value) else str(value)
