"""One photo, scrubbed in this process: the mesh's own scrubber and verifier, and then the right way up."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from mesh.errors import ConfigError, Unavailable
from services.ingest.isolated.kinds import source
from services.ingest.limits import Limits
from services.ingest.report import Facts, Format
from services.ingest.scrub import Scrubber
from services.ingest.sniff import ENOUGH
from services.ingest.verify import Verifier

LIMITS = Limits(inflate_idat=True)  # nothing decodes after us here, so a PNG's data is proven to be just the picture

_CHUNK = 512 * 1024


class Turned(StrEnum):
    """How an orientation was applied to the pixels."""

    NOT_NEEDED = "not needed"
    LOSSLESS = "lossless"  # the same pixels, in their new places
    RE_ENCODED = "re-encoded"


@dataclass(frozen=True, slots=True)
class Clean:
    """A scrubbed photo. facts: as found, so that its orientation is the one that was applied."""

    data: bytes
    facts: Facts
    turned: Turned
    converted: bool  # drawn anew: for its format, HEIC for one, or for a colour profile that we don't know


def clean(data: bytes, limits: Limits = LIMITS) -> Clean:
    """Scrub a whole file. Raises Invalid for a photo that is refused; Unavailable, ConfigError without a worker."""
    if source(data[:ENOUGH]) is not None:
        scrubbed, facts = _drawn_anew(data, limits)
    else:
        scrubbed, facts = scrub(data, limits)
        if facts.colour_profile_dropped and facts.format is not Format.GIF:
            scrubbed, facts = _recoloured(data, limits) or (scrubbed, facts)
    converted = facts.converted_from is not None
    if facts.orientation == 1:
        return Clean(scrubbed, facts, Turned.NOT_NEEDED, converted)
    from clients.scrubbing.upright import upright  # noqa: PLC0415 - needs Pillow, which most photos don't

    turned, lossless = upright(scrubbed, facts)
    again, turned_facts = scrub(turned, limits)
    size = replace(facts, width=turned_facts.width, height=turned_facts.height)
    return Clean(again, size, Turned.LOSSLESS if lossless else Turned.RE_ENCODED, converted)


def scrub(data: bytes, limits: Limits) -> tuple[bytes, Facts]:
    """The scrubbed file, agreed upon by the verifier."""
    scrubber, verifier, view = Scrubber(limits), Verifier(), memoryview(data)
    out = bytearray()
    for start in range(0, len(data), _CHUNK):
        for piece in verifier.feed(scrubber.feed(bytes(view[start : start + _CHUNK]))):
            out += piece
    last, facts = scrubber.finish()
    for piece in verifier.feed(last):
        out += piece
    verifier.finish(facts)
    return bytes(out), facts


def _drawn_anew(data: bytes, limits: Limits) -> tuple[bytes, Facts]:
    """HEIC and the like, by a decoder in a process that can do nothing else."""
    from services.ingest.isolated.alone import convert  # noqa: PLC0415 - needs more than a scrub does

    drawn, facts = convert(data, limits)
    scrubbed, _ = scrub(drawn, limits)  # a scrub of a scrub changes nothing; the verifier has to agree to it too
    return scrubbed, facts


def _recoloured(data: bytes, limits: Limits) -> tuple[bytes, Facts] | None:
    """None on a machine that can't hold decoders: then the colours are less exact, and it is said."""
    try:
        return _drawn_anew(data, limits)
    except (ConfigError, Unavailable):
        return None
