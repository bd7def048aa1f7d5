"""Damaged, cut off, too large, or something else altogether: a typed refusal, and the next photo is served."""

from __future__ import annotations

import io
import random
import struct

import pytest
from PIL import Image

from mesh.errors import Invalid
from services.ingest.isolated.convert import _parted
from services.ingest.isolated.kinds import source as kind_of
from services.ingest.isolated.passage import Passage
from services.ingest.limits import Limits
from services.ingest.refusals import Reason
from services.ingest.report import Source
from tests.unit.services.ingest.isolated import samples
from tests.unit.services.ingest.isolated.conftest import Desk
from tests.unit.services.ingest.isolated.samples import box, psnr, upright

SOURCES = list(Source)


def reason(desk: Desk, data: bytes, limits: Limits | None = None) -> str:
    with pytest.raises(Invalid) as error:
        desk.scrub(data, **({"limits": limits} if limits else {}))
    assert error.value.reason in set(Reason)
    return error.value.reason


@pytest.mark.parametrize("source", SOURCES)
def test_every_truncation_is_refused_or_harmless(desk: Desk, source: Source) -> None:
    whole = samples.file(source, planted=False)
    for percent in range(2, 100, 2):
        cut = whole[: len(whole) * percent // 100]
        try:
            data, facts = desk.scrub(cut)
        except Invalid as refused:
            assert refused.reason in set(Reason)
            continue
        # Only a decoder that fills up what is missing lets this through; what comes out is still a whole picture.
        assert Image.open(io.BytesIO(data)).size == (facts.width, facts.height)


@pytest.mark.parametrize("source", SOURCES)
def test_mutations_never_do_anything_else(desk: Desk, source: Source) -> None:
    whole = samples.file(source, upright(48, 32))
    chance = random.Random(7)
    for _ in range(60):
        mutant = bytearray(whole)
        for _ in range(chance.randint(1, 12)):
            at = chance.randrange(min(len(mutant), 1500) if chance.random() < 0.8 else len(mutant))
            mutant[at] = chance.choice((0, 1, 0x7F, 0xFF, chance.randrange(256)))
        try:
            desk.scrub(bytes(mutant))
        except Invalid as refused:
            assert refused.reason in set(Reason)
    assert psnr(Image.open(io.BytesIO(desk.scrub(samples.file(source))[0])), upright()) > 30


@pytest.mark.parametrize("source", SOURCES)
def test_limits_are_checked_before_the_decode(desk: Desk, source: Source) -> None:
    """The sizes in the header are raised, the pixels stay few: only who reads the header first says so."""
    data = _claiming(source, samples.file(source, planted=False), 5_000, 1_000)
    assert reason(desk, data) == Reason.TOO_MANY_PIXELS
    data = _claiming(source, samples.file(source, planted=False), 30_000, 20)
    assert reason(desk, data) == Reason.DIMENSION_TOO_LARGE
    data = _claiming(source, samples.file(source, planted=False), 0, 20)
    assert reason(desk, data) == Reason.MALFORMED_PHOTO


def _claiming(source: Source, data: bytes, width: int, height: int) -> bytes:
    was, now = {
        Source.BMP: (struct.pack("<II", *samples.SIZE), struct.pack("<II", width, height)),
        Source.TIFF: (b"", b""),
    }.get(source, (struct.pack(">II", *samples.SIZE), struct.pack(">II", width, height)))
    if source is Source.TIFF:
        for tag, old, new in ((256, samples.SIZE[0], width), (257, samples.SIZE[1], height)):
            for kind, code in ((3, "<HHIHH"), (4, "<HHII")):
                rest = (0,) if kind == 3 else ()
                long = struct.pack("<HHII", tag, 4, 1, new)
                data = data.replace(struct.pack(code, tag, kind, 1, old, *rest), long)
        return data
    assert was in data
    return data.replace(was, now)


@pytest.mark.parametrize("source", SOURCES)
def test_too_many_bytes_are_refused_as_they_come(desk: Desk, source: Source) -> None:
    assert reason(desk, samples.file(source), Limits(max_bytes=500)) == Reason.PHOTO_TOO_LARGE


def test_a_file_that_needs_the_worker_is_held_to_its_limit(desk: Desk) -> None:
    passage = Passage(Limits(max_bytes=1000), desk.converter)
    passage.feed(samples.file(Source.HEIC)[:900])
    with pytest.raises(Invalid, match="PHOTO_TOO_LARGE"):
        passage.feed(bytes(101))


def test_every_picture_that_the_container_names_counts(desk: Desk) -> None:
    """Not only the one that is drawn: a decoder might be led to another."""
    more = [Image.new("RGB", (1600, 1300))]
    assert reason(desk, samples.file(Source.HEIC, save_all=True, append_images=more)) == Reason.TOO_MANY_PIXELS


def test_a_camera_raw_file_in_tiffs_clothes(desk: Desk) -> None:
    for tag, kind, value in ((0xC612, 1, 1), (262, 3, 32803), (254, 4, 1)):
        entry = struct.pack("<HHII", tag, kind, 1, value)
        raw = b"II*\0" + struct.pack("<IH", 8, 1) + entry + bytes(4)
        assert reason(desk, raw) == Reason.UNSUPPORTED_FORMAT


def test_odd_codings_are_named_so(desk: Desk) -> None:
    entry = struct.pack("<HHII", 259, 3, 1, 34712)
    assert reason(desk, b"II*\0" + struct.pack("<IH", 8, 1) + entry + bytes(4)) == Reason.UNSUPPORTED_CODING
    fax = samples.file(Source.TIFF, upright().convert("1"), planted=False, compression="group4")
    assert reason(desk, fax) == Reason.UNSUPPORTED_CODING


def test_a_directory_of_boxes_has_an_end(desk: Desk) -> None:
    head = box(b"ftyp", b"heic\0\0\0\0mif1heic")
    assert reason(desk, head + box(b"free", b"") * 30_000) == Reason.TOO_MANY_SEGMENTS
    assert reason(desk, head + b"\0\0\xff\xffmeta") == Reason.TRUNCATED_PHOTO
    assert reason(desk, head) == Reason.MALFORMED_PHOTO


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(64), Source.HEIC),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1avif" + bytes(64), Source.AVIF),
        (b"\0\0\0\x18ftypavis\0\0\0\0avifmsf1" + bytes(64), Source.AVIF),
        (b"\0\0\0\x18ftypmp42\0\0\0\0isommp42" + bytes(64), None),
        (b"\0\0\0\x18ftypcrx \0\0\0\0crx isom" + bytes(64), None),
        (b"II*\0\x10\0\0\0CR\2\0", None),
        (b"MM\0*" + bytes(20), Source.TIFF),
        (b"BM" + bytes(12) + b"\x28\0\0\0", Source.BMP),
        (b"BM, our company newsletter", None),
        (b"\xff\xd8\xff", None),
    ],
)
def test_who_goes_to_the_worker(head: bytes, expected: Source | None) -> None:
    assert kind_of(head) is expected


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\xff\xff\xff\xff",
        b"\2\0\0\0{}",
        b"\2\0\0\0[]",
        b"\x04\0\0\0nope",
        *(
            struct.pack("<I", len(notes)) + notes
            for notes in (
                b'{"removed": {"home address": 5}, "ai_generated": false, "colour_unknown": false}',
                b'{"removed": {"gps": 99999999999}, "ai_generated": false, "colour_unknown": false}',
                b'{"removed": {"gps": "48.1N"}, "ai_generated": false, "colour_unknown": false}',
                b'{"removed": {}, "ai_generated": "Emma", "colour_unknown": false}',
                b'{"removed": {}, "ai_generated": false, "colour_unknown": false, "name": "Emma"}',
                b"[" * 5000,
            )
        ),
    ],
)
def test_a_child_that_lies_is_a_damaged_photo(answer: bytes) -> None:
    with pytest.raises(Invalid, match="MALFORMED_PHOTO"):
        _parted(memoryview(answer), 1000)
