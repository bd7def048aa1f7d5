"""Runs the verifier over whole outputs, as the tests of every format do."""

from __future__ import annotations

from functools import cache

from services.ingest.report import Facts
from services.ingest.verify import Verifier
from services.ingest.verify.disagreement import Disagreement
from tests import photos
from tests.unit.services.ingest.scrubbing import scrub


def verify(data: bytes, facts: Facts, *, size: int = 1 << 16) -> None:
    """Raises Disagreement."""
    verifier = Verifier()
    for chunk in photos.chunked(data, size):
        list(verifier.feed([chunk]))
    verifier.finish(facts)


def caught(data: bytes, facts: Facts) -> bool:
    return broken_rule(data, facts, sizes=(97,)) != ""


def broken_rule(data: bytes, facts: Facts, *, sizes: tuple[int, ...] = (1, 5, 1 << 16)) -> str:
    """The rule that this output breaks, told alike for every chunking; "" when it breaks none."""
    rules = set()
    for size in sizes:
        try:
            verify(data, facts, size=size)
        except Disagreement as verdict:
            rules.add(verdict.rule)
        else:
            rules.add("")
    assert len(rules) == 1, rules
    return rules.pop()


@cache
def samples() -> dict[str, tuple[bytes, Facts]]:
    """What the scrubber writes for each kind of file that the tests can make."""
    made = {
        "jpeg": photos.jpegs()
        | {"phone": photos.phone_jpeg(), "phone, progressive": photos.phone_jpeg(progressive=True)},
        "png": photos.pngs(),
        "webp": photos.webps(),
        "gif": photos.gifs(),
    }
    return {f"{kind} {name}": scrub(data) for kind, files in made.items() for name, data in files.items()}


def sample(name: str) -> tuple[bytes, Facts]:
    return samples()[name]
