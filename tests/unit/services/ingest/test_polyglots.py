"""A file that is two things at once leaves as one, or not at all."""

from __future__ import annotations

import io
import zipfile

import pytest

from services.ingest.report import Removed
from tests import photos
from tests.unit.services.ingest.scrubbing import refusal, scrub
from tests.unit.services.ingest.verify.verifying import broken_rule

PICTURES = {
    "jpeg": photos.jpeg(),
    "png": photos.png(),
    "webp": photos.webp(),
    "webp-alpha": photos.webp(mode="RGBA"),
    "gif": photos.gifs()["colour"],
}


def archive() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        file.writestr("payload.txt", photos.CANARY)
    return out.getvalue()


OTHERS = {
    "zip": archive(),
    "html": b"<!DOCTYPE html><script>alert('" + photos.CANARY + b"')</script>",
    "pdf": b"%PDF-1.7\n1 0 obj<</Type/Catalog>>endobj\n" + photos.CANARY + b"\n%%EOF",
    "js": b"*/=1;alert('" + photos.CANARY + b"')//",
    "picture": photos.jpeg(16, 16, comment=photos.CANARY),
}
CASES = [(picture, other) for picture in PICTURES for other in OTHERS]


@pytest.mark.parametrize(("picture", "other"), CASES)
def test_something_else_behind_the_picture_goes(picture: str, other: str) -> None:
    plain, load = PICTURES[picture], OTHERS[other]
    clean, facts = scrub(plain + load)
    assert (clean, facts.removed[Removed.TRAILER]) == (scrub(plain)[0], len(load))
    assert photos.CANARY not in clean and b"%PDF" not in clean and b"PK\5\6" not in clean
    assert broken_rule(clean, facts) == ""


@pytest.mark.parametrize(("picture", "other"), [case for case in CASES if case[1] != "picture"])
def test_something_else_before_the_picture_is_refused_by_its_name(picture: str, other: str) -> None:
    refused = refusal(OTHERS[other] + PICTURES[picture])
    name = {"zip": "a ZIP archive", "html": "a web page", "pdf": "a PDF", "js": "not a kind of file that we know"}[
        other
    ]
    assert (refused.reason, f"This is {name};" in refused.message) == ("UNSUPPORTED_FORMAT", True)


def inside(picture: str, load: bytes) -> bytes:
    """The load in the place where this format lets anybody write."""
    data = PICTURES[picture]
    if picture == "jpeg":
        return photos.with_segments(data, [(0, photos.segment(0xFE, load))])
    if picture == "png":
        return photos.with_chunks(data, [(0, photos.chunk(b"prIv", load))])
    if picture == "gif":
        return photos.with_blocks(data, [(0, photos.extension(0xFE, load))])
    return photos.with_riff_chunks(data, [(0, photos.riff_chunk(b"load", load))])


@pytest.mark.parametrize(("picture", "other"), CASES)
def test_something_else_inside_the_picture_goes(picture: str, other: str) -> None:
    clean, facts = scrub(inside(picture, OTHERS[other]))
    assert photos.CANARY not in clean
    assert photos.decoded(clean) == photos.decoded(PICTURES[picture])
    assert broken_rule(clean, facts) == ""


def test_the_script_that_a_gif_header_can_hide() -> None:
    """GIF89a/*…*/=1: a screen size that opens a comment. What is left of it are two numbers."""
    data = bytearray(PICTURES["gif"])
    data[6:8] = b"/*"
    assert refusal(bytes(data)).reason in {"UNSUPPORTED_CODING", "MALFORMED_PHOTO"}


def test_two_pictures_in_one_jpeg() -> None:
    one, two = photos.jpeg_parts(PICTURES["jpeg"]), photos.jpeg_parts(photos.jpeg(16, 16))
    assert refusal(b"".join(one[:-1] + two)).reason == "MALFORMED_PHOTO"  # a picture inside the other
    assert refusal(b"".join([*one[:-1], *two[1:]])).reason == "MALFORMED_PHOTO"  # a second frame
    assert scrub(PICTURES["jpeg"] + photos.jpeg(16, 16))[0] == scrub(PICTURES["jpeg"])[0]  # MPF: one after the other


def test_two_pictures_in_one_png() -> None:
    one, two = photos.png_parts(PICTURES["png"]), photos.png_parts(photos.png(16, 16))
    assert refusal(b"".join([*one[:-1], *two[1:]])).reason == "MALFORMED_PHOTO"
    assert refusal(b"".join([*one[:-1], photos.chunk(b"tIME", bytes(7)), one[2], one[-1]])).reason == "MALFORMED_PHOTO"


def test_two_pictures_in_one_webp() -> None:
    one, two = photos.riff_parts(PICTURES["webp"]), photos.riff_parts(photos.webp(48, 32, lossless=True))
    assert refusal(photos.riff(one + two)).reason == "MALFORMED_PHOTO"
    assert refusal(photos.riff([photos.vp8x(48, 32), *one, *two])).reason == "MALFORMED_PHOTO"
