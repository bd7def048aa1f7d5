"""The right edge of a tiled tree: all that must be kept in memory in order to let the tree grow.

At most 255 hashes a level (8 KiB) and the at most 255 entries of the last bundle, whatever the size of the log.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from mesh.transparency.merkle import EMPTY_ROOT, fold, leaf_hash, node_hash
from mesh.transparency.tiles import (
    WIDTH,
    File,
    Reader,
    count_at,
    encode_bundle,
    entries_path,
    read_entries,
    read_tile,
    tile_path,
)


@dataclass(frozen=True, slots=True)
class Edge:
    """size: leaves. levels: per tile level, lowest first, the hashes of its partial tile. tail: the partial bundle."""

    size: int = 0
    levels: tuple[tuple[bytes, ...], ...] = ()
    tail: tuple[bytes, ...] = ()

    @classmethod
    def load(cls, reader: Reader, size: int) -> Edge:
        """The edge of a tree of ``size``, from its tiles. Raises FileNotFoundError, VerificationError."""
        levels, level = [], 0
        while count := count_at(level, size):
            index, width = divmod(count, WIDTH)
            levels.append(tuple(read_tile(reader, level, index, width)) if width else ())
            level += 1
        index, width = divmod(size, WIDTH)
        return cls(size, tuple(levels), tuple(read_entries(reader, index, width)) if width else ())

    def root(self) -> bytes:
        """MTH over all leaves."""
        subtrees = [top for level in reversed(self.levels) for top in perfect_subtrees(level)]
        return fold(subtrees) if subtrees else EMPTY_ROOT

    def extended(self, entries: Iterable[bytes]) -> tuple[Edge, list[File]]:
        """The edge after appending ``entries``, and each file that is new with it: full ones, then partial ones.

        Raises ValueError for an entry that no bundle can hold.
        """
        growth = _Growth(self)
        for entry in entries:
            growth.push(entry)
        return growth.edge(), [*growth.full, *growth.partials(self.size)]


class _Growth:
    """An edge while it grows."""

    def __init__(self, edge: Edge) -> None:
        self.size = edge.size
        self.levels = [list(level) for level in edge.levels]
        self.tail = list(edge.tail)
        self.full: list[File] = []

    def edge(self) -> Edge:
        return Edge(self.size, tuple(tuple(level) for level in self.levels), tuple(self.tail))

    def push(self, entry: bytes) -> None:
        self.tail.append(entry)
        self._push_hash(0, leaf_hash(entry))
        self.size += 1
        if len(self.tail) == WIDTH:
            self.full.append(File(entries_path(self.size // WIDTH - 1), encode_bundle(self.tail)))
            self.tail = []

    def _push_hash(self, level: int, value: bytes) -> None:
        if level == len(self.levels):
            self.levels.append([])
        tile = self.levels[level]
        tile.append(value)
        if len(tile) == WIDTH:
            index = count_at(level, self.size + 1) // WIDTH - 1
            self.full.append(File(tile_path(level, index), b"".join(tile)))
            (top,) = perfect_subtrees(tile)
            self.levels[level] = []
            self._push_hash(level + 1, top)

    def partials(self, old_size: int) -> list[File]:
        """The partial tiles that a tree of ``old_size`` did not have already."""
        files = []
        for level, tile in enumerate(self.levels):
            if tile and count_at(level, old_size) != count_at(level, self.size):
                path = tile_path(level, count_at(level, self.size) // WIDTH, len(tile))
                files.append(File(path, b"".join(tile)))
        if self.tail and old_size != self.size:
            files.append(File(entries_path(self.size // WIDTH, len(self.tail)), encode_bundle(self.tail)))
        return files


def perfect_subtrees(hashes: Iterable[bytes]) -> list[bytes]:
    """The roots of the largest complete subtrees over ``hashes``, leftmost (largest) first."""
    stack: list[tuple[int, bytes]] = []
    for value in hashes:
        height, top = 0, value
        while stack and stack[-1][0] == height:
            top = node_hash(stack.pop()[1], top)
            height += 1
        stack.append((height, top))
    return [top for _, top in stack]
