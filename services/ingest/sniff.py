"""What a file is, by its first bytes; never by its name or declared type.

Refused kinds are named, so that the sentence which reaches a person helps, and before any parser of theirs could run.
"""

from __future__ import annotations

from services.ingest import refusals
from services.ingest.report import Format

ENOUGH = 64
"""Bytes after which the answer no longer changes."""

# (offset, magic, kind); the first match wins, so the specific stand before the general.
_REFUSED: tuple[tuple[int, bytes, str], ...] = (
    (0, b"%PDF", "a PDF"),
    (0, b"%!PS", "a PostScript file"),
    (0, b"\xc5\xd0\xd3\xc6", "an EPS file"),
    (0, b"GIF8", "a GIF of an unknown version"),
    (0, b"8BPS", "a Photoshop file (PSD)"),
    (0, b"FUJIFILMCCD-RAW", "a camera RAW file"),
    (0, b"II*\x00\x10\x00\x00\x00CR", "a camera RAW file"),
    (0, b"IIU\x00", "a camera RAW file"),
    (0, b"IIRO", "a camera RAW file"),
    (0, b"IIRS", "a camera RAW file"),
    (0, b"MMOR", "a camera RAW file"),
    (0, b"II*\x00", "a TIFF or camera RAW file"),
    (0, b"MM\x00*", "a TIFF or camera RAW file"),
    (0, b"II+\x00", "a TIFF or camera RAW file"),
    (0, b"MM\x00+", "a TIFF or camera RAW file"),
    (0, b"\x00\x00\x00\x0cJXL ", "a JPEG XL file"),
    (0, b"\xff\x0a", "a JPEG XL file"),
    (0, b"\x00\x00\x00\x0cjP  ", "a JPEG 2000 file"),
    (0, b"\xff\x4f\xff\x51", "a JPEG 2000 file"),
    (0, b"PK\x03\x04", "a ZIP archive"),
    (0, b"PK\x05\x06", "a ZIP archive"),
    (0, b"\x1f\x8b", "a gzip archive"),
    (0, b"Rar!", "a RAR archive"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (0, b"\x1a\x45\xdf\xa3", "a Matroska or WebM video"),
    (4, b"moov", "a QuickTime video"),
    (4, b"mdat", "a QuickTime video"),
    (8, b"AVI ", "an AVI video"),
    (8, b"WAVE", "a WAVE sound"),
    (0, b"ID3", "an MP3 sound"),
    (0, b"OggS", "an Ogg file"),
    (0, b"\x00\x00\x01\x00", "an icon (ICO)"),
    (0, b"\x8aMNG", "an MNG animation"),
    (0, b"\x8bJNG", "a JNG picture"),
    (0, b"\x76\x2f\x31\x01", "an OpenEXR file"),
    (0, b"#?RADIANCE", "a Radiance HDR file"),
    (0, b"MZ", "a program"),
    (0, b"\x7fELF", "a program"),
    (0, b"BM", "a BMP"),
)

# ISO base media brands (ISO/IEC 14496-12, 4.3); what isn't here and starts with ftyp is some video.
_BRANDS: tuple[tuple[tuple[bytes, ...], str], ...] = (
    ((b"avif", b"avis"), "an AVIF file"),
    ((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"), "a HEIC file"),
    ((b"crx ",), "a camera RAW file"),
    ((b"qt  ",), "a QuickTime video"),
)


_GIF = (b"GIF87a", b"GIF89a")


def sniff(head: bytes, *, whole: bool = False) -> Format | None:
    """The format of a file that starts with ``head``; None when more bytes are needed.

    ``whole`` says that no more bytes will come. Raises EMPTY_PHOTO, TRUNCATED_PHOTO for the mere beginning of a known
    signature, and UNSUPPORTED_FORMAT with the kind's name.
    """
    if (known := _known(head)) is not None:
        return known
    if len(head) < ENOUGH and not whole:
        return None
    if not head:
        raise refusals.empty()
    if any(magic.startswith(head) for magic in (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF", *_GIF)) or (
        head[:4] == b"RIFF" and len(head) < 12
    ):
        raise refusals.truncated()
    raise refusals.unsupported(_name(head))


def _known(head: bytes) -> Format | None:
    if head[:3] == b"\xff\xd8\xff":
        return Format.JPEG
    if head[:8] == b"\x89PNG\r\n\x1a\n":
        return Format.PNG
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return Format.WEBP
    if head[:6] in _GIF:
        return Format.GIF
    return None


def _name(head: bytes) -> str:
    if head[4:8] == b"ftyp":
        return _iso_media(head)
    for offset, magic, kind in _REFUSED:
        if head[offset : offset + len(magic)] == magic:
            return kind
    return _markup(head)


def _iso_media(head: bytes) -> str:
    """The major brand decides; for the neutral ``mif1``/``msf1`` the compatible brands do."""
    brands = [head[8:12]] + [head[i : i + 4] for i in range(16, min(len(head), ENOUGH), 4)]
    if brands[0] in (b"mif1", b"msf1") and (b"avif" in brands or b"avis" in brands):
        return "an AVIF file"
    for group, kind in _BRANDS:
        if brands[0] in group:
            return kind
    return "an MP4 video"


def _markup(head: bytes) -> str:
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if text.startswith(b"<svg") or (text.startswith((b"<?xml", b"<!--", b"<!doctype svg")) and b"html" not in text):
        return "an SVG or XML file"
    if text.startswith(b"<"):
        return "a web page"
    if text.startswith((b"{", b"[")):
        return "a JSON file"
    return "not a kind of file that we know"
