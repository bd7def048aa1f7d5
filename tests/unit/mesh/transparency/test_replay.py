"""Replaying a log notices whatever the checkpoint does not cover."""

from __future__ import annotations

import pytest

from mesh.transparency.checkpoint import Checkpoint
from mesh.transparency.edge import Edge
from mesh.transparency.errors import VerificationError
from mesh.transparency.replay import replay
from mesh.transparency.tiles import File, encode_bundle

ENTRIES = [b"entry %d" % i for i in range(600)]


class MemoryReader(dict[str, bytes]):
    def read(self, path: str) -> bytes:
        if path not in self:
            raise FileNotFoundError(path)
        return self[path]


def published(entries: list[bytes]) -> tuple[MemoryReader, Checkpoint]:
    _, files = Edge().extended(entries)
    return MemoryReader(File(*file) for file in files), checkpoint(entries)


def checkpoint(entries: list[bytes], origin: str = "log") -> Checkpoint:
    return Checkpoint(origin, len(entries), Edge().extended(entries)[0].root())


@pytest.mark.parametrize("size", [0, 1, 255, 256, 257, 512, 600])
def test_an_honest_log_replays(size: int) -> None:
    reader, head = published(ENTRIES[:size])
    assert list(replay(reader, head)) == ENTRIES[:size]


@pytest.mark.parametrize("size", [0, 1, 255, 256, 257, 512, 599, 600])
def test_an_extension_is_consistent(size: int) -> None:
    reader, head = published(ENTRIES)
    assert list(replay(reader, head, checkpoint(ENTRIES[:size]))) == ENTRIES


@pytest.mark.parametrize("size", [1, 255, 256, 257, 512, 599, 600])
def test_a_rewritten_history_is_noticed(size: int) -> None:
    reader, head = published(ENTRIES)
    earlier = checkpoint([b"was here before", *ENTRIES[1:size]])
    with pytest.raises(VerificationError, match="rewritten"):
        list(replay(reader, head, earlier))


def test_an_exchanged_entry_is_noticed() -> None:
    reader, head = published(ENTRIES)
    reader["tile/entries/001"] = encode_bundle([b"other", *ENTRIES[257:512]])
    with pytest.raises(VerificationError, match="root"):
        list(replay(reader, head))


def test_another_log_or_a_shorter_one_is_no_successor() -> None:
    reader, head = published(ENTRIES[:5])
    for earlier in (checkpoint(ENTRIES[:6]), checkpoint(ENTRIES[:5], "other log")):
        with pytest.raises(VerificationError):
            list(replay(reader, head, earlier))
