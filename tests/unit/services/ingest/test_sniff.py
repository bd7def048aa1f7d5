"""By content, never by name; and whatever is refused is called by its name."""

from __future__ import annotations

import pytest

from mesh.errors import Invalid
from services.ingest.report import Format
from services.ingest.sniff import ENOUGH, sniff
from tests.unit.services.ingest.scrubbing import refusal


def ftyp(major: bytes, *compatible: bytes) -> bytes:
    return b"\0\0\0\x20ftyp" + major + bytes(4) + b"".join(compatible) + bytes(64)


REFUSED = [
    (b"%PDF-1.7", "a PDF"),
    (b"GIF88a", "a GIF of an unknown version"),
    (b"8BPS", "a Photoshop file (PSD)"),
    (b"BM" + bytes(20), "a BMP"),
    (b"II*\0\x08\0\0\0", "a TIFF or camera RAW file"),
    (b"MM\0*\0\0\0\x08", "a TIFF or camera RAW file"),
    (b"II*\0\x10\0\0\0CR\2", "a camera RAW file"),
    (b"FUJIFILMCCD-RAW 0201", "a camera RAW file"),
    (ftyp(b"heic", b"mif1"), "a HEIC file"),
    (ftyp(b"mif1", b"heic"), "a HEIC file"),
    (ftyp(b"mif1", b"avif"), "an AVIF file"),
    (ftyp(b"avif"), "an AVIF file"),
    (ftyp(b"crx "), "a camera RAW file"),
    (ftyp(b"isom"), "an MP4 video"),
    (ftyp(b"qt  "), "a QuickTime video"),
    (b"PK\3\4", "a ZIP archive"),
    (b"\0\0\0\x0cJXL \r\n\x87\n", "a JPEG XL file"),
    (b"\xff\x0a", "a JPEG XL file"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "a JPEG 2000 file"),
    (b"RIFF\0\0\0\0AVI LIST", "an AVI video"),
    (b"RIFF\0\0\0\0WAVEfmt ", "a WAVE sound"),
    (b"<svg xmlns=''>", "an SVG or XML file"),
    (b"\xef\xbb\xbf  <?xml version='1.0'?><svg>", "an SVG or XML file"),
    (b"<!DOCTYPE html><html>", "a web page"),
    (b'{"photo": 1}', "a JSON file"),
    (b"MZ\x90", "a program"),
    (b"hello, this is a text", "not a kind of file that we know"),
    (b"\xff\xd8 not quite a JPEG", "not a kind of file that we know"),
    (b" \xff\xd8\xff\xe0", "not a kind of file that we know"),
]


@pytest.mark.parametrize(("head", "name"), REFUSED)
def test_refused_by_name(head: bytes, name: str) -> None:
    for data in (head, head + bytes(100)):
        refused = refusal(data)
        assert (refused.reason, refused.field) == ("UNSUPPORTED_FORMAT", "photo.format")
        assert refused.message == f"This is {name}; send a JPEG, PNG, WebP or GIF."
        assert refusal(data, size=1).message == refused.message


@pytest.mark.parametrize(
    ("head", "format"),
    [
        (b"\xff\xd8\xff", Format.JPEG),
        (b"\x89PNG\r\n\x1a\n", Format.PNG),
        (b"RIFF????WEBP", Format.WEBP),
        (b"GIF87a", Format.GIF),
        (b"GIF89a", Format.GIF),
    ],
)
def test_known_as_early_as_possible(head: bytes, format: Format) -> None:
    assert sniff(head) is format
    assert sniff(head[:-1]) is None
    with pytest.raises(Invalid, match="TRUNCATED_PHOTO"):
        sniff(head[:-1], whole=True)


def test_undecided_until_enough_bytes_came() -> None:
    assert sniff(b"") is None
    assert sniff(b"?" * (ENOUGH - 1)) is None
    with pytest.raises(Invalid, match="EMPTY_PHOTO"):
        sniff(b"", whole=True)
