"""The TIFF reader: right about what phones write, silent about everything else."""

from __future__ import annotations

import random
import struct

import pytest

from clients.demo import plant
from services.ingest.scrub.exif import Exif, parse
from tests import photos


def test_a_rich_block() -> None:
    found = parse(plant.exif(orientation=8))
    gps_directory, gps_values = 2 + 5 * 12 + 4, 48
    assert found == Exif(
        orientation=8,
        gps=gps_directory + gps_values,
        maker_note=len(plant._MAKER_NOTE),
        thumbnail=len(plant.thumbnail()),
    )


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    ("kind", "count", "value", "expected"),
    [(3, 1, 6, 6), (4, 1, 6, 6), (3, 1, 0, None), (3, 1, 9, None), (3, 2, 6, None), (1, 1, 6, None), (3, 0, 6, None)],
)
def test_orientation(order: str, kind: int, count: int, value: int, expected: int | None) -> None:
    field = struct.pack(order + "HH", value, 0) if kind == 3 else struct.pack(order + "I", value)
    head = b"II*\0" if order == "<" else b"MM\0*"
    block = head + struct.pack(order + "IHHHI", 8, 1, 0x0112, kind, count) + field + bytes(4)
    assert parse(block).orientation == expected


def test_a_second_orientation_does_not_count_unless_the_first_is_nonsense() -> None:
    entries = b"".join(struct.pack("<HHIHH", 0x0112, 3, 1, value, 0) for value in (77, 5, 3))
    assert parse(b"II*\0" + struct.pack("<IH", 8, 3) + entries + bytes(4)).orientation == 5


@pytest.mark.parametrize(
    "block",
    [
        b"",
        b"II",
        b"II*\0",
        b"XX*\0" + bytes(20),
        b"II*\0\xff\xff\xff\xff",
        b"II*\0\x08\0\0\0",
        b"II*\0\x08\0\0\0\xff\xff",
        b"II*\0\x04\0\0\0",  # a directory that is the header itself
        b"II*\0\0\0\0\0" + bytes(20),
        b"MM\0*\0\0\0\x08\0\x01" + b"\xff" * 12,
    ],
)
def test_nonsense_says_nothing(block: bytes) -> None:
    assert parse(block).orientation is None


def test_directories_that_point_at_each_other_end() -> None:
    entries = struct.pack("<HHII", 0x8769, 4, 1, 8) + struct.pack("<HHII", 0x8825, 4, 1, 8)
    block = b"II*\0" + struct.pack("<IH", 8, 2) + entries + struct.pack("<I", 8)
    assert parse(block).gps == 30


def test_sizes_are_bounded_by_the_block() -> None:
    entries = struct.pack("<HHII", 0x8825, 4, 1, 26) + bytes(4)
    gps = struct.pack("<HHHII", 1, 2, 12, 0xFFFFFFFF, 0)
    block = b"II*\0" + struct.pack("<IH", 8, 1) + entries + gps
    assert parse(block).gps == len(block)


def test_any_mutation_and_any_beginning_is_survived() -> None:
    chance = random.Random(7)
    block = plant.exif()
    for end in range(len(block)):
        parse(block[:end])
    for _ in range(3000):
        broken = bytearray(block)
        for _ in range(chance.randrange(1, 6)):
            broken[chance.randrange(len(broken))] = chance.randrange(256)
        assert parse(bytes(broken)).orientation in (None, 1, 2, 3, 4, 5, 6, 7, 8)


def test_the_simple_maker_agrees() -> None:
    for orientation in range(1, 9):
        for big_endian in (False, True):
            assert parse(photos.exif(orientation, big_endian=big_endian)) == Exif(orientation)
