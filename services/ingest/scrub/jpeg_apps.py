"""Application and comment segments of a JPEG: all removed, a few read on the way out.

Read are: orientation (EXIF), the colour space (ICC), whether components are YCbCr (JFIF, Adobe), and marks of AI
generation (XMP, C2PA). Signatures: EXIF 3.0 4.7.2; XMP part 3 (2020) 1.1.3; ICC.1:2022 B.4; CIPA DC-007 (MPF);
ISO/IEC 19566-5 D.2 (JUMBF); ITU-T T.871 (JFIF); Adobe TN 5116.
"""

from __future__ import annotations

from dataclasses import dataclass

from services.ingest.report import Colour, Removed
from services.ingest.scrub import icc
from services.ingest.scrub.jpeg_markers import COM, segment
from services.ingest.scrub.ledger import Ledger
from services.ingest.scrub.source import Source, Steps


@dataclass(frozen=True, slots=True)
class _Kind:
    marker: int
    signature: bytes
    removed: Removed
    framing: int  # bytes before the content proper: the signature, and sequence numbers where there are some


_KINDS = (
    _Kind(0xE0, b"JFIF\0", Removed.HINT, 14),
    _Kind(0xE0, b"JFXX\0", Removed.THUMBNAIL, 5),
    _Kind(0xE1, b"Exif\0", Removed.EXIF, 6),
    _Kind(0xE1, b"http://ns.adobe.com/xap/1.0/\0", Removed.XMP, 29),
    _Kind(0xE1, b"http://ns.adobe.com/xmp/extension/\0", Removed.XMP, 75),
    _Kind(0xE2, b"ICC_PROFILE\0", Removed.ICC, 14),
    _Kind(0xE2, b"MPF\0", Removed.MPF, 4),
    _Kind(0xEB, b"JP", Removed.C2PA, 16),
    _Kind(0xED, b"Photoshop 3.0\0", Removed.IPTC, 14),
    _Kind(0xEE, b"Adobe", Removed.PADDING, 12),
    _Kind(COM, b"", Removed.COMMENT, 0),
)
_LONGEST = max(len(kind.signature) for kind in _KINDS)
_HEADER = 4  # marker and length


class Apps:
    """Removes segments and remembers the little that the picture needs."""

    def __init__(self, source: Source, ledger: Ledger) -> None:
        self._source = source
        self._ledger = ledger
        self._jfif = False
        self._transform: int | None = None

    def remove(self, marker: int, size: int) -> Steps[None]:
        """Pass over a segment of ``size`` payload bytes."""
        head = yield from self._source.read(min(size, _LONGEST))
        kind = next((each for each in _KINDS if each.marker == marker and head.startswith(each.signature)), None)
        if kind is None or kind.marker != 0xEE:  # Adobe's flag is structure: only what follows it is removed
            self._ledger.remove(kind.removed if kind else Removed.UNKNOWN_SEGMENT, size + _HEADER)
        if kind is None or size < kind.framing:
            yield from self._source.skip(size - len(head))
            return
        more = max(0, kind.framing - len(head))
        head += yield from self._source.read(more)
        yield from self._content(kind, head, size - kind.framing)

    def _content(self, kind: _Kind, head: bytes, size: int) -> Steps[None]:
        """``head`` ends at or after the framing; ``size`` counts all content bytes, also those in ``head``."""
        begun = head[kind.framing :]
        match kind.removed:
            case Removed.EXIF:
                begun = yield from self._held(begun, size)
                self._ledger.exif(begun)
            case Removed.ICC if head[12] == 1 and self._ledger.colour is None:  # the first part has the tag table
                begun = yield from self._held(begun, size)
                self._ledger.profile(begun, size + _HEADER + kind.framing)
            case Removed.ICC:
                self._ledger.declare(Colour.UNKNOWN, by_profile=True)
            case Removed.HINT:
                self._jfif = True
                self._ledger.remove(Removed.THUMBNAIL, size)
            case Removed.PADDING:
                self._transform = head[11]
                self._ledger.remove(Removed.PADDING, size)
            case _:
                pass
        mark = self._ledger.mark(kind.removed)
        if mark is not None:
            mark.see(begun, 0, len(begun))
        yield from self._source.skip(size - len(begun), mark)

    def _held(self, begun: bytes, size: int) -> Steps[bytes]:
        bound = min(size, self._ledger.limits.max_metadata_bytes)
        return begun + (yield from self._source.read(max(0, bound - len(begun))))

    def rewritten(self, component_ids: tuple[int, ...]) -> bytes:
        """Segments of ours that say what the removed ones said about colour."""
        colour = self._ledger.settle_colour(self._source.position, rgb=len(component_ids) == 3)
        profile = b""
        if colour in icc.OURS:
            profile = segment(0xE2, b"ICC_PROFILE\0\x01\x01" + icc.profile(colour))
        return profile + self._adobe(component_ids)

    def _adobe(self, component_ids: tuple[int, ...]) -> bytes:
        """Adobe's marker reduced to its transform flag, unless every decoder would guess YCbCr and be right.

        The rules are those of libjpeg's default_decompress_parms, which browsers and phones share: JFIF means YCbCr,
        else Adobe's flag decides, else components named R, G, B are RGB. Four components are never guessed: Adobe's
        marker also says that they are inverted.
        """
        if len(component_ids) == 4 and self._transform is not None:
            return _adobe_segment(0 if self._transform == 0 else 2)
        if len(component_ids) != 3:
            return b""
        guess = component_ids != (0x52, 0x47, 0x42)
        ycc = True if self._jfif else guess if self._transform is None else self._transform != 0
        return b"" if ycc and guess else _adobe_segment(int(ycc))


def _adobe_segment(transform: int) -> bytes:
    return segment(0xEE, b"Adobe\0\x64\0\0\0\0" + bytes((transform,)))
