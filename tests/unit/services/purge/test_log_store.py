"""Frames: what a crash can leave of them, and what it can't."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh.errors import ConfigError
from services.purge.log_store import Journal, OsFs, decode_frames, encode_frame

batches = st.lists(st.lists(st.binary(max_size=40), min_size=1, max_size=4), min_size=1, max_size=5)


def journal_of(*batches: list[bytes]) -> bytes:
    data, first = b"", 0
    for batch in batches:
        data += encode_frame(first, batch)
        first += len(batch)
    return data


def recovered(tmp_path: Path, *segments: bytes, integrated: int = 0) -> list[bytes]:
    directory = tmp_path / "journal"
    directory.mkdir(exist_ok=True)
    for number, data in enumerate(segments):
        (directory / f"{number:012d}").write_bytes(data)
    return Journal(directory, OsFs()).recover(integrated)


@settings(deadline=None)
@given(batches)
def test_frames_come_back(batches: list[list[bytes]]) -> None:
    assert [frame.entries for frame in decode_frames(journal_of(*batches))] == batches


@settings(deadline=None)
@given(batches, st.data())
def test_a_torn_tail_loses_the_last_frame_and_no_other(batches: list[list[bytes]], data: st.DataObject) -> None:
    whole = journal_of(*batches)
    last = len(encode_frame(0, batches[-1]))
    cut = data.draw(st.integers(len(whole) - last, len(whole) - 1))
    assert [frame.entries for frame in decode_frames(whole[:cut])] == batches[:-1]
    garbage = data.draw(st.binary(max_size=60))
    torn = whole[:cut] + garbage
    if torn[: len(whole)] != whole:
        assert [frame.entries for frame in decode_frames(torn)] == batches[:-1]


@settings(deadline=None)
@given(batches, st.data())
def test_a_changed_byte_never_gives_another_entry(batches: list[list[bytes]], data: st.DataObject) -> None:
    whole = bytearray(journal_of(*batches))
    at = data.draw(st.integers(0, len(whole) - 1))
    whole[at] ^= data.draw(st.integers(1, 255))
    found = [frame.entries for frame in decode_frames(bytes(whole))]
    assert len(found) == len(batches) - 1 and all(frame in batches for frame in found)


def test_recovery_goes_on_where_the_tree_ends(tmp_path: Path) -> None:
    segments = [journal_of([b"0", b"1"], [b"2"]), encode_frame(3, [b"3", b"4"])]
    for integrated in range(6):
        assert recovered(tmp_path, *segments, integrated=integrated) == [b"%d" % i for i in range(integrated, 5)]


def test_a_torn_tail_at_the_end_of_all_is_left_out(tmp_path: Path) -> None:
    assert recovered(tmp_path, journal_of([b"0"]) + encode_frame(1, [b"1"])[:-1], b"") == [b"0"]


def test_damage_before_an_intact_frame_is_not_taken_for_a_torn_tail(tmp_path: Path) -> None:
    whole = bytearray(journal_of([b"zero"], [b"one"], [b"two"]))
    whole[whole.index(b"one")] ^= 1
    with pytest.raises(ConfigError, match="damaged before entry 2"):
        recovered(tmp_path, bytes(whole))
    assert recovered(tmp_path, bytes(whole), integrated=2) == [b"two"], "what the tree has, the journal may lose"


def test_a_missing_segment_is_noticed(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="damaged"):
        recovered(tmp_path, encode_frame(4, [b"4"]), integrated=3)


def test_overlapping_frames_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="damaged"):
        recovered(tmp_path, encode_frame(0, [b"0", b"1"]), encode_frame(1, [b"other"]))
