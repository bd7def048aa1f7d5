"""The layout of C2SP tlog-tiles (https://c2sp.org/tlog-tiles): which file holds which hashes and entries.

A tile holds up to 256 hashes of 32 bytes; level 0 are leaf hashes, each hash of level L + 1 is over one full tile of
level L. An entry bundle holds up to 256 entries, each after its length as a big-endian uint16.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from mesh.transparency.errors import VerificationError
from mesh.transparency.merkle import HASH_SIZE, node_hash

HEIGHT = 8
WIDTH = 1 << HEIGHT
MAX_ENTRY = (1 << 16) - 1
CHECKPOINT_PATH = "checkpoint"
COSIGNED_PATH = "cosigned"  # Mayfly's own: the newest checkpoint that witnesses have cosigned
_CACHED_TILES = 64


class File(NamedTuple):
    """One static resource: its path below the log's prefix, with slashes, and its content."""

    path: str
    data: bytes


class Reader(Protocol):
    """Reads a log's static resources, from a directory or over HTTP."""

    def read(self, path: str) -> bytes:
        """The content at ``path``. Raises FileNotFoundError when there is none."""


class DirectoryReader:
    """A log's resources below a directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def read(self, path: str) -> bytes:
        return (self._directory / path).read_bytes()


def tile_path(level: int, index: int, width: int = WIDTH) -> str:
    """``tile/<L>/<N>[.p/<W>]``. Raises ValueError for coordinates that can't exist."""
    if not 0 <= level <= 63:
        raise ValueError(f"no tile level {level}")
    return f"tile/{level}/{_index_path(index, width)}"


def entries_path(index: int, width: int = WIDTH) -> str:
    """``tile/entries/<N>[.p/<W>]``. Raises ValueError for coordinates that can't exist."""
    return f"tile/entries/{_index_path(index, width)}"


def _index_path(index: int, width: int) -> str:
    if index < 0 or not 1 <= width <= WIDTH:
        raise ValueError(f"no tile {index} of width {width}")
    digits = str(index).zfill((len(str(index)) + 2) // 3 * 3)
    groups = [digits[i : i + 3] for i in range(0, len(digits), 3)]
    path = "/".join([*(f"x{group}" for group in groups[:-1]), groups[-1]])
    return path if width == WIDTH else f"{path}.p/{width}"


def count_at(level: int, size: int) -> int:
    """How many hashes a tree of ``size`` leaves has at tile level ``level``."""
    return size >> (HEIGHT * level)


def encode_bundle(entries: Sequence[bytes]) -> bytes:
    """Length-prefixed entries. Raises ValueError for an entry of more than 65,535 bytes."""
    parts = []
    for entry in entries:
        if len(entry) > MAX_ENTRY:
            raise ValueError(f"an entry of {len(entry)} bytes does not fit into a bundle")
        parts += [len(entry).to_bytes(2, "big"), entry]
    return b"".join(parts)


def decode_bundle(data: bytes) -> list[bytes]:
    """The entries of a bundle. Raises VerificationError("bundle", ...) when lengths and bytes don't agree."""
    entries, at = [], 0
    while at < len(data):
        begin = at + 2
        at = begin + int.from_bytes(data[at:begin], "big")
        if begin > len(data) or at > len(data):
            raise VerificationError("bundle", "An entry bundle ends in the middle of an entry.")
        entries.append(data[begin:at])
    return entries


def read_partial(reader: Reader, partial: str, full: str) -> bytes:
    """A partial resource, or the full one that has taken its place since. Raises FileNotFoundError."""
    try:
        return reader.read(partial)
    except FileNotFoundError:
        return reader.read(full)


def read_tile(reader: Reader, level: int, index: int, width: int) -> list[bytes]:
    """The first ``width`` hashes of a tile. Raises FileNotFoundError, VerificationError("tile", ...)."""
    data = read_partial(reader, tile_path(level, index, width), tile_path(level, index))
    if len(data) not in (width * HASH_SIZE, WIDTH * HASH_SIZE):
        raise VerificationError("tile", "A tile has another length than its width says.")
    return [data[i : i + HASH_SIZE] for i in range(0, width * HASH_SIZE, HASH_SIZE)]


def read_entries(reader: Reader, index: int, width: int) -> list[bytes]:
    """The first ``width`` entries of a bundle. Raises FileNotFoundError, VerificationError("bundle", ...)."""
    entries = decode_bundle(read_partial(reader, entries_path(index, width), entries_path(index)))
    if len(entries) not in (width, WIDTH):
        raise VerificationError("bundle", "An entry bundle has another number of entries than its width says.")
    return entries[:width]


class TileTree:
    """The complete subtrees of a tree of ``size`` leaves, read from its tiles; ``node`` is a merkle.NodeReader.

    Keeps the last 64 tiles that it read (512 KiB). Not for more than one thread at a time.
    """

    def __init__(self, reader: Reader, size: int) -> None:
        self._reader = reader
        self._size = size
        self._tiles: OrderedDict[tuple[int, int], list[bytes]] = OrderedDict()

    def node(self, level: int, index: int) -> bytes:
        """The hash over the leaves [index << level, (index + 1) << level). Raises as read_tile, and ValueError."""
        if (index + 1) << level > self._size:
            raise ValueError("this subtree is not complete")
        tile_level, height = divmod(level, HEIGHT)
        begin = index << height
        tile = self._tile(tile_level, begin >> HEIGHT)
        begin %= WIDTH
        return _top(tile[begin : begin + (1 << height)])

    def _tile(self, level: int, index: int) -> list[bytes]:
        tile = self._tiles.get((level, index))
        if tile is None:
            width = min(WIDTH, count_at(level, self._size) - index * WIDTH)
            tile = self._tiles[level, index] = read_tile(self._reader, level, index, width)
            if len(self._tiles) > _CACHED_TILES:
                self._tiles.popitem(last=False)
        return tile


def _top(hashes: list[bytes]) -> bytes:
    """The root over 2**k hashes."""
    while len(hashes) > 1:
        hashes = [node_hash(hashes[i], hashes[i + 1]) for i in range(0, len(hashes), 2)]
    return hashes[0]
