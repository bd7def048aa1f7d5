"""Which files go to the isolated worker, by their first bytes."""

from __future__ import annotations

from services.ingest.report import Source

_AVIF = frozenset({b"avif", b"avis"})
_HEIC = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"})
_DIB_HEADERS = frozenset({12, 40, 52, 56, 64, 108, 124})  # sizes of the versions of BITMAPINFOHEADER
_LOOK_AT = 64


def source(head: bytes) -> Source | None:
    """None for everything else, and for too few bytes to say: 64 are enough."""
    if head[4:8] == b"ftyp":
        return _iso_media(head[:_LOOK_AT])
    if head[:4] in (b"II*\0", b"MM\0*") and len(head) >= 12:
        return None if head[8:10] == b"CR" else Source.TIFF
    if head[:2] == b"BM" and head[6:10] == bytes(4) and int.from_bytes(head[14:18], "little") in _DIB_HEADERS:
        return Source.BMP
    return None


def _iso_media(head: bytes) -> Source | None:
    """The major brand decides; for the neutral ``mif1``/``msf1`` the compatible brands do (ISO/IEC 23008-12, 10.2)."""
    if len(head) < 16 or len(head) < min(_LOOK_AT, int.from_bytes(head[:4], "big")):
        return None
    major = head[8:12]
    compatible = {head[at : at + 4] for at in range(16, len(head), 4)}
    if major in _AVIF or (major in (b"mif1", b"msf1") and compatible & _AVIF):
        return Source.AVIF
    return Source.HEIC if major in _HEIC else None
