"""PNG (PNG specification, 3rd edition): only what draws the picture, while it streams.

    signature  IHDR  [sRGB | iCCP: ours]  [PLTE]  [tRNS]  IDAT…  IEND

The IDATs pass as views, with their CRCs checked; the chunks before them are written anew when the first IDAT comes.
Everything else goes, unread where possible: compressed text is never inflated.

An APNG keeps the picture of its IDATs, which is the one that every decoder without animation shows, whether or not it
is also the animation's first frame (section 11.3.5.2).
"""

from __future__ import annotations

import zlib

from services.ingest import refusals
from services.ingest.report import Removed
from services.ingest.scrub.ledger import Ledger
from services.ingest.scrub.png_chunks import FRAMING, MAX_LENGTH, SIGNATURE, chunk
from services.ingest.scrub.png_colour import READ, PngColour, canonical
from services.ingest.scrub.png_header import (
    GREY,
    GREY_ALPHA,
    PALETTE,
    Header,
    canonical_transparency,
    check_palette,
    parse_header,
)
from services.ingest.scrub.png_pixels import Proof, proofs
from services.ingest.scrub.source import Source, Steps
from services.ingest.scrub.watch import Crc

_XMP_KEYWORD = b"XML:com.adobe.xmp\0"
_REMOVED = {
    b"eXIf": Removed.EXIF,
    b"tEXt": Removed.TEXT,
    b"zTXt": Removed.TEXT,
    b"iTXt": Removed.TEXT,
    b"tIME": Removed.TIME,
    b"caBX": Removed.C2PA,
    b"acTL": Removed.ANIMATION,
    b"fcTL": Removed.ANIMATION,
    b"fdAT": Removed.ANIMATION,
    **dict.fromkeys((b"pHYs", b"bKGD", b"hIST", b"sBIT", b"sPLT", b"sTER", b"oFFs", b"pCAL", b"sCAL"), Removed.HINT),
    **dict.fromkeys((*READ, b"mDCV", b"cLLI"), Removed.ICC),
}


class Png:
    def __init__(self, source: Source, ledger: Ledger) -> None:
        self._source = source
        self._ledger = ledger
        self._colour = PngColour(ledger.limits.max_metadata_bytes)
        self._palette: bytes | None = None
        self._transparency: bytes | None = None
        self._proofs: tuple[Proof, ...] = ()
        self._after_pixels = False
        self._frames = 0

    def run(self) -> Steps[None]:
        yield from self._source.skip(len(SIGNATURE))
        kind, size, _ = yield from self._chunk()
        if kind == b"CgBI":
            raise refusals.unsupported_coding("This PNG is in Apple's private variant")
        if kind != b"IHDR" or size != 13:
            raise refusals.malformed("its header")
        data = yield from self._checked(kind, size)
        header = parse_header(data)
        self._ledger.set_size(header.width, header.height)
        self._ledger.has_alpha = header.has_alpha
        self._source.emit(SIGNATURE + chunk(b"IHDR", data))
        while kind != b"IEND":
            kind, size, framing = yield from self._chunk()
            yield from self._one(header, kind, size, framing)
        if not self._proofs:
            raise refusals.malformed("a picture without pixels")
        for proof in self._proofs:
            proof.finish()
        while not self._source.ended:
            self._ledger.remove(Removed.TRAILER, (yield from self._source.drain()))

    def _chunk(self) -> Steps[tuple[bytes, int, bytes]]:
        """Type, data length and the eight bytes that said so."""
        framing = yield from self._source.read(8)
        size, kind = int.from_bytes(framing[:4]), framing[4:]
        if size > MAX_LENGTH or not kind.isalpha():
            raise refusals.malformed("a chunk's framing")
        self._ledger.segment()
        return kind, size, framing

    def _one(self, header: Header, kind: bytes, size: int, framing: bytes) -> Steps[None]:
        if kind == b"IDAT":
            yield from self._idat(header, size, framing)
            return
        self._after_pixels = bool(self._proofs)
        if kind == b"IEND":
            yield from self._end(size)
        elif kind == b"PLTE":
            yield from self._plte(header, size)
        elif kind == b"tRNS" and not self._proofs:
            yield from self._trns(header, size)
        elif kind[0] & 0x20:
            yield from self._remove(kind, size)
        else:  # an upper-case first letter: a decoder that doesn't know it can't draw the picture (section 5.4)
            raise refusals.malformed("an unknown critical chunk")

    def _idat(self, header: Header, size: int, framing: bytes) -> Steps[None]:
        if self._after_pixels:
            raise refusals.malformed("pixels in two places")
        if not self._proofs:
            self._begin(header)
            self._proofs = proofs(header.raw_bytes, inflate=self._ledger.limits.inflate_idat)
        self._source.keep_read(framing)
        crc = Crc(framing[4:])
        yield from self._source.copy(size, crc, *self._proofs)
        stated = yield from self._source.read(4)
        _check_crc(crc.value, stated)
        self._source.keep_read(stated)

    def _begin(self, header: Header) -> None:
        """Write what must stand before the pixels."""
        if header.colour_type == PALETTE and self._palette is None:
            raise refusals.malformed("its palette")
        said = self._colour.verdict()
        if said is not None:
            self._ledger.declare(said, by_profile=self._colour.by_profile)
        rgb = header.colour_type not in (GREY, GREY_ALPHA)
        settled = self._ledger.settle_colour(self._source.position, rgb=rgb)
        before = canonical(settled) if said else b""
        if before and self._colour.said(before):
            self._ledger.restore(Removed.ICC, len(before))
        if self._palette is not None:
            before += chunk(b"PLTE", self._palette)
        if self._transparency is not None:
            before += chunk(b"tRNS", self._transparency)
        if before:
            self._source.emit(before)

    def _end(self, size: int) -> Steps[None]:
        if size:
            raise refusals.malformed("its end")
        yield from self._checked(b"IEND", 0)
        self._source.emit(chunk(b"IEND", b""))

    def _plte(self, header: Header, size: int) -> Steps[None]:
        """Kept for palette pictures; for others it is a mere suggestion (section 11.2.2)."""
        if self._palette is not None or self._proofs or size > 768:
            raise refusals.malformed("its palette")
        if header.colour_type == PALETTE:
            self._palette = yield from self._checked(b"PLTE", size)
            check_palette(header, self._palette)
        else:
            self._ledger.remove(Removed.HINT, size + FRAMING)
            yield from self._source.skip(size + 4)

    def _trns(self, header: Header, size: int) -> Steps[None]:
        if size > 256 or self._transparency is not None:
            raise refusals.malformed("its transparency")
        data = yield from self._checked(b"tRNS", size)
        self._transparency = canonical_transparency(header, self._palette, data)
        if self._transparency is None:
            self._ledger.remove(Removed.UNKNOWN_SEGMENT, size + FRAMING)
        else:
            self._ledger.has_alpha = True

    def _remove(self, kind: bytes, size: int) -> Steps[None]:
        """Pass over a chunk; of the few that matter, look at a bounded beginning."""
        removed = _REMOVED.get(kind, Removed.UNKNOWN_SEGMENT)
        bound = min(size, self._ledger.limits.max_metadata_bytes)
        head = b""
        if kind == b"eXIf":
            head = yield from self._source.read(bound)
            self._ledger.exif(head.removeprefix(b"Exif\0\0"))
        elif kind in READ and not self._proofs:
            head = yield from self._source.read(bound)
            self._colour.read(kind, head)
        elif kind == b"iTXt":
            head = yield from self._source.read(min(size, len(_XMP_KEYWORD)))
            removed = Removed.XMP if head == _XMP_KEYWORD else removed
        elif kind == b"fcTL":
            self._count_frame()
        self._ledger.remove(removed, size + FRAMING)
        yield from self._source.skip(size - len(head), self._ledger.mark(removed))
        yield from self._source.skip(4)

    def _count_frame(self) -> None:
        self._frames += 1
        if self._frames > self._ledger.limits.max_frames:
            raise refusals.too_many_frames(self._ledger.limits.max_frames)

    def _checked(self, kind: bytes, size: int) -> Steps[bytes]:
        """A kept chunk's data, which callers bound. Its CRC must be right."""
        data = yield from self._source.read(size)
        _check_crc(zlib.crc32(data, zlib.crc32(kind)), (yield from self._source.read(4)))
        return data


def _check_crc(counted: int, stated: bytes) -> None:
    if counted != int.from_bytes(stated):
        raise refusals.malformed("a checksum")
