"""The façade: when facts are known, what memory is held, what a refusal leaves behind."""

from __future__ import annotations

import gc
import traceback
import tracemalloc

import pytest

from clients.demo import plant
from mesh.errors import Invalid
from services.ingest.limits import Limits
from services.ingest.report import Colour, Facts, Format
from services.ingest.scrub import Scrubber
from tests import photos
from tests.unit.services.ingest.scrubbing import LIMITS, refusal, scrub


def test_facts_of_a_phone_photo() -> None:
    clean, facts = scrub(photos.phone_jpeg())
    removed = facts.removed
    assert facts == Facts(Format.JPEG, 96, 64, 6, False, removed, Colour.SRGB, False, False)
    assert {str(kind) for kind in removed} == {
        "exif", "gps", "maker_note", "thumbnail", "xmp", "iptc", "comment", "mpf", "c2pa", "hint", "trailer",
        "unknown_segment",
    }  # fmt: skip
    counted_twice = len(plant.thumbnail())  # as THUMBNAIL and in EXIF
    blocks = sum(size for kind, size in removed.items() if kind not in ("gps", "maker_note")) - counted_twice
    assert len(clean) == len(photos.phone_jpeg()) - blocks


def test_facts_are_known_once_the_size_is() -> None:
    scrubber = Scrubber(LIMITS)
    data = photos.phone_jpeg()
    known_at = None
    for offset in range(len(data)):
        scrubber.feed(data[offset : offset + 1])
        if known_at is None and scrubber.facts is not None:
            known_at = offset
            assert (scrubber.facts.width, scrubber.facts.height, scrubber.facts.orientation) == (96, 64, 6)
    sof = data.index(b"\xff\xc0\0\x11\x08\0\x40\0\x60")
    assert known_at == sof + 18


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("big_endian", [False, True])
def test_orientation_of_every_format(orientation: int, big_endian: bool) -> None:
    block = photos.exif(orientation, big_endian=big_endian)
    for data in (
        photos.with_segments(photos.jpeg(), [(0, photos.segment(0xE1, b"Exif\0\0" + block))]),
        photos.with_chunks(photos.png(), [(0, photos.chunk(b"eXIf", block))]),
        photos.with_chunks(photos.png(), [(1, photos.chunk(b"eXIf", block))]),
        photos.with_riff_chunks(photos.webp(), [(1, photos.riff_chunk(b"EXIF", block))]),
        photos.with_riff_chunks(photos.webp(), [(1, photos.riff_chunk(b"EXIF", b"Exif\0\0" + block))]),
    ):
        assert scrub(data)[1].orientation == orientation


def test_the_first_exif_decides() -> None:
    blocks = [(0, photos.segment(0xE1, b"Exif\0\0" + photos.exif(value))) for value in (3, 6)]
    assert scrub(photos.with_segments(photos.jpeg(), blocks))[1].orientation == 6  # planted before the other


def test_the_picture_leaves_as_views_of_the_chunk() -> None:
    data = photos.jpeg(800, 600)
    pieces = Scrubber(LIMITS).feed(data)
    views = [piece for piece in pieces if isinstance(piece, memoryview)]
    assert all(view.obj is data for view in views)
    assert sum(map(len, views)) > len(data) - 1000


def test_first_byte_out_before_last_byte_in() -> None:
    for data in (photos.jpeg(800, 600), photos.png(800, 600), photos.webp(800, 600), photos.gifs()["large"]):
        scrubber = Scrubber(LIMITS)
        assert scrubber.feed(data[: len(data) // 4])


@pytest.mark.parametrize("kind", ["jpeg", "png", "webp", "gif"])
def test_memory_does_not_grow_with_the_metadata(kind: str) -> None:
    load = bytes(60_000)
    data = {
        "jpeg": photos.with_segments(photos.jpeg(), [(0, photos.segment(0xE1, b"Exif\0\0II*\0" + load))] * 100),
        "png": photos.with_chunks(photos.png(), [(0, photos.chunk(b"eXIf", load * 100))]),
        "webp": photos.with_riff_chunks(photos.webp(), [(0, photos.riff_chunk(b"EXIF", load * 100))]),
        "gif": photos.with_blocks(photos.gifs()["colour"], [(0, photos.application(b"ICCRGBG1012", load * 100))]),
    }[kind]
    frame = 64 * 1024
    scrubber = Scrubber(LIMITS)
    tracemalloc.start()
    for chunk in photos.chunked(data, frame):
        scrubber.feed(chunk)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    scrubber.finish()
    assert peak < 2 * frame + 128 * 1024


def test_between_chunks_nothing_of_the_last_one_is_held() -> None:
    scrubber = Scrubber(LIMITS)
    chunk = photos.jpeg(800, 600)[:-2]
    scrubber.feed(chunk)
    gc.collect()
    assert not [holder for holder in gc.get_referrers(chunk) if holder is not globals() and not _is_frame(holder)]


def _is_frame(holder: object) -> bool:
    return type(holder).__name__ == "frame"


def test_a_refusal_is_final() -> None:
    scrubber = Scrubber(LIMITS)
    data = photos.jpeg()
    with pytest.raises(Invalid, match="MALFORMED_PHOTO"):
        scrubber.feed(data[:20] + b"stray" + data[20:])
    for again in (lambda: scrubber.feed(data), lambda: scrubber.feed(b""), scrubber.finish):
        with pytest.raises(Invalid, match="MALFORMED_PHOTO"):
            again()


def test_a_finished_scrubber_takes_no_more() -> None:
    scrubber = Scrubber(LIMITS)
    scrubber.feed(photos.jpeg())
    scrubber.finish()
    with pytest.raises(RuntimeError):
        scrubber.feed(b"more")


def test_a_refusal_holds_no_parser_and_no_byte() -> None:
    data = photos.jpeg()
    refused = refusal(data[:20] + photos.CANARY + data[20:])
    assert photos.CANARY.decode() not in str(refused)
    frames = [frame.f_code.co_name for frame, _ in traceback.walk_tb(refused.__traceback__)]
    assert "run" not in frames
    assert refused.__context__ is None


def test_empty_chunks_change_nothing() -> None:
    data = photos.jpeg()
    scrubber = Scrubber(Limits())
    out = b""
    for start in range(0, len(data), 50):
        out += b"".join(scrubber.feed(b"") + scrubber.feed(data[start : start + 50]))
    last, _ = scrubber.finish()
    assert out + b"".join(last) == scrub(data)[0]


def test_nothing_and_no_more_than_a_signature() -> None:
    assert refusal(b"").reason == "EMPTY_PHOTO"
    assert refusal(b"\xff\xd8\xff").reason == "TRUNCATED_PHOTO"
    assert refusal(b"\x89PNG").reason == "TRUNCATED_PHOTO"
