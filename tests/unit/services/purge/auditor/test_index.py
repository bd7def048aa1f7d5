"""Every window of a needle is found, wherever it lies, and nothing else."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.purge.auditor.hunt.index import Match, Needle, NeedleIndex
from services.purge.auditor.hunt.tables import sort_distinct
from services.purge.auditor.hunt.words import WINDOW, as_bytes, dull, told, words_everywhere

_NEEDLE = random.Random(1).randbytes(5000)
_INDEX = NeedleIndex([Needle("upload", _NEEDLE)])


def _search(index: NeedleIndex, data: bytes) -> list[Match]:
    return index.search(as_bytes(data))


def _not(neighbour: bytes) -> bytes:
    """A byte that does not go on with the needle."""
    return bytes([neighbour[0] ^ 1]) if neighbour else b"\x00"


@settings(max_examples=300)
@given(begin=st.integers(0, 4900), length=st.integers(1, 300), before=st.integers(0, 200), after=st.integers(0, 100))
def test_a_piece_is_found_at_every_place_if_it_is_a_window_long(
    begin: int, length: int, before: int, after: int
) -> None:
    piece = _NEEDLE[begin : begin + length]
    data = _not(_NEEDLE[begin - 1 : begin]) * before + piece + _not(_NEEDLE[begin + length :][:1]) * after
    found = _search(_INDEX, data)
    assert found == ([Match(before, len(piece), "upload")] if len(piece) >= WINDOW else [])


def test_every_window_is_in_it() -> None:
    missed = [
        begin
        for begin in range(1500)
        if not _search(_INDEX, bytes(begin % 24) + _NEEDLE[begin : begin + WINDOW] + bytes(9))
    ]
    assert not missed


def test_a_whole_needle_is_one_stretch_and_pieces_are_told_apart() -> None:
    other = random.Random(2).randbytes(1000)
    index = NeedleIndex([Needle("upload", _NEEDLE), Needle("pixels", other)])
    noise = random.Random(3).randbytes(100_000)
    data = noise + _NEEDLE + noise + other + noise
    assert _search(index, data) == [
        Match(100_000, 5000, "upload"),
        Match(205_000, 1000, "pixels"),
    ]


def test_one_wrong_byte_makes_two_stretches() -> None:
    data = bytearray(_NEEDLE)
    data[2000] ^= 1
    assert _search(_INDEX, bytes(data)) == [Match(0, 2000, "upload"), Match(2001, 2999, "upload")]


def test_a_needle_that_repeats_itself_is_found_at_any_phase() -> None:
    tile = random.Random(4).randbytes(24)
    index = NeedleIndex([Needle("pixels", tile * 200)])
    assert index.size == 24
    assert _search(index, (tile * 50)[7:1000]) == [Match(0, 993, "pixels")]


def test_what_says_nothing_is_not_looked_for() -> None:
    dull_bytes = b"\x00" * 100 + b"\xff" * 100 + b"ab" * 50 + b"rgb" * 40 + b"rgbx" * 40
    index = NeedleIndex([Needle("pixels", dull_bytes), Needle("upload", _NEEDLE)])
    assert _search(index, dull_bytes) == []
    assert index.size == len(_NEEDLE) - WINDOW + 1


def test_what_other_photos_have_too_is_not_looked_for() -> None:
    header = random.Random(5).randbytes(200)
    index = NeedleIndex([Needle("upload", header + _NEEDLE)], common=[b"..." + header])
    assert _search(index, header) == []
    assert _search(index, _NEEDLE) == [Match(0, 5000, "upload")]
    # Seven bytes of its own are too few to be sure of, eight are not.
    assert _search(index, header[-25:] + _NEEDLE[:7]) == []
    assert _search(index, header[-24:] + _NEEDLE[:8]) == [Match(0, 32, "upload")]


def test_what_was_there_before_is_not_looked_for() -> None:
    place = as_bytes(b"." * 40 + _NEEDLE[1000:2000])
    index = _INDEX.without(_INDEX.seen(place))
    assert index.search(place) == []
    # Sixty-two windows reach over the two edges of the thousand bytes.
    assert sum(match.length for match in _search(index, _NEEDLE)) == 4000 + 2 * (WINDOW - 1)


def test_nothing_is_found_in_nothing() -> None:
    assert _search(_INDEX, b"") == []
    assert _search(_INDEX, _NEEDLE[:31]) == []
    empty = NeedleIndex([])
    assert (empty.size, _search(empty, _NEEDLE)) == (0, [])


def test_a_million_windows_and_a_large_place() -> None:
    """More words in question than are settled at one time."""
    needle = np.random.default_rng(6).bytes(1 << 20)
    place = np.random.default_rng(7).bytes(5 << 20)
    index = NeedleIndex([Needle("upload", needle)])
    found = _search(index, place + needle + needle[5:] + place + needle[:33])
    # The second copy begins where the first one ends: one stretch.
    assert [(match.offset, match.length) for match in found] == [(5 << 20, (2 << 20) - 5), (12582907, 33)]


@given(st.lists(st.integers(0, 40), max_size=60))
def test_distinct_hashes_come_sorted_also_when_they_differ_in_low_bits_only(values: list[int]) -> None:
    hashes = np.array(values, dtype=np.uint64)
    distinct, positions = sort_distinct(hashes, np.arange(len(values)))
    assert distinct.tolist() == sorted(set(values))
    assert hashes[positions].tolist() == distinct.tolist()


@pytest.mark.parametrize(
    ("word", "is_dull"),
    [
        (b"\x00" * 8, True),
        (b"\x07\x00\x00\x00\x01\x02\x03\x00", True),
        (b"\xff\xff\xff\xff1234", True),
        (b"abababab", True),
        (b"rgbrgbrg", True),
        (b"rgbxrgbx", True),
        (b"abcdeabc", False),
        (b"\x00\x7f\x12\x34\x56\x78\x9a\x00", False),
    ],
)
def test_dull_words(word: bytes, is_dull: bool) -> None:
    assert dull(words_everywhere(as_bytes(word))).tolist() == [is_dull]


def test_what_lies_in_no_window_is_not_told() -> None:
    own = random.Random(5).randbytes(3 * WINDOW)
    assert told(as_bytes(own)) == 1
    assert told(as_bytes(bytes(WINDOW))) == 0
    # A window ends up to three zeros later, or begins so much earlier: a fourth is a dull word.
    beside = own[:WINDOW] + bytes(20) + own[: WINDOW // 2] + bytes(20) + own[:WINDOW]
    assert told(as_bytes(beside)) * len(beside) == pytest.approx(2 * WINDOW + 2 * 3)
