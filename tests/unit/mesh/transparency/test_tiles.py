"""Paths, tiles and bundles against the examples of C2SP tlog-tiles; the right edge against the plain tree."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh.transparency.edge import Edge
from mesh.transparency.errors import VerificationError
from mesh.transparency.merkle import EMPTY_ROOT, inclusion_proof, leaf_hash, node_hash, root, verify_inclusion
from mesh.transparency.tiles import (
    DirectoryReader,
    File,
    TileTree,
    decode_bundle,
    encode_bundle,
    entries_path,
    read_entries,
    read_tile,
    tile_path,
)


class MemoryReader:
    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}

    def add(self, files: list[File]) -> None:
        for path, data in files:
            assert self.files.setdefault(path, data) == data, f"{path} was published with another content"

    def read(self, path: str) -> bytes:
        try:
            return self.files[path]
        except KeyError:
            raise FileNotFoundError(path) from None


def plain_root(entries: list[bytes]) -> bytes:
    hashes = [leaf_hash(entry) for entry in entries]
    if not hashes:
        return EMPTY_ROOT
    while len(hashes) > 1:  # pairing up, a lone last one moves up as it is: the same tree as the RFC's
        paired = [node_hash(*hashes[i : i + 2]) for i in range(0, len(hashes) - 1, 2)]
        hashes = paired + hashes[len(paired) * 2 :]
    return hashes[0]


@pytest.mark.parametrize(
    ("index", "width", "expected"),
    [
        (0, 256, "000"),
        (7, 12, "007.p/12"),
        (999, 1, "999.p/1"),
        (1000, 256, "x001/000"),
        (1234067, 256, "x001/x234/067"),
        (1234067, 255, "x001/x234/067.p/255"),
    ],
)
def test_paths(index: int, width: int, expected: str) -> None:
    assert tile_path(3, index, width) == f"tile/3/{expected}"
    assert entries_path(index, width) == f"tile/entries/{expected}"


@pytest.mark.parametrize(("level", "index", "width"), [(64, 0, 1), (-1, 0, 1), (0, -1, 1), (0, 0, 0), (0, 0, 257)])
def test_impossible_coordinates(level: int, index: int, width: int) -> None:
    with pytest.raises(ValueError, match="no tile"):
        tile_path(level, index, width)


def test_a_bundle_is_length_prefixed_big_endian() -> None:
    assert encode_bundle([b"abc", b"", b"x" * 258]) == b"\x00\x03abc\x00\x00\x01\x02" + b"x" * 258
    with pytest.raises(ValueError, match="does not fit"):
        encode_bundle([b"x" * 65536])


@settings(deadline=None)
@given(st.lists(st.binary(max_size=300), max_size=20))
def test_bundles_come_back(entries: list[bytes]) -> None:
    assert decode_bundle(encode_bundle(entries)) == entries


@settings(deadline=None)
@given(st.lists(st.binary(max_size=30), min_size=1, max_size=5), st.data())
def test_a_cut_bundle_is_refused_or_shorter(entries: list[bytes], data: st.DataObject) -> None:
    encoded = encode_bundle(entries)
    cut = encoded[: data.draw(st.integers(0, len(encoded) - 1))]
    with contextlib.suppress(VerificationError):
        assert decode_bundle(cut) == entries[: len(decode_bundle(cut))]


def test_the_specifications_example_of_70000_leaves() -> None:
    edge, files = Edge().extended(b"%d" % i for i in range(70_000))
    paths = [path for path, _ in files]
    full = [path for path in paths if ".p/" not in path]
    assert len([path for path in full if path.startswith("tile/0/")]) == 273
    assert len([path for path in full if path.startswith("tile/entries/")]) == 273
    assert [path for path in full if path.startswith("tile/1/")] == ["tile/1/000"]
    assert [path for path in paths if ".p/" in path] == [
        "tile/0/273.p/112",
        "tile/1/001.p/17",
        "tile/2/000.p/1",
        "tile/entries/273.p/112",
    ]
    assert all(len(data) == 8192 for path, data in files if path in full and "entries" not in path)
    assert sum(map(len, edge.levels)) + len(edge.tail) <= 255 * (len(edge.levels) + 1), "memory is bounded"
    reader = MemoryReader()
    reader.add(files)
    tree = TileTree(reader, 70_000)
    for index in (0, 255, 256, 65_535, 65_536, 69_999):
        proof = inclusion_proof(index, 70_000, tree.node)
        verify_inclusion(leaf_hash(b"%d" % index), index, 70_000, proof, edge.root())


def test_256_leaves_are_one_full_tile_and_one_hash_above() -> None:
    edge, files = Edge().extended([b"x"] * 256)
    assert [path for path, _ in files] == ["tile/0/000", "tile/entries/000", "tile/1/000.p/1"]
    assert edge.levels == ((), (plain_root([b"x"] * 256),))


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(1, 400), max_size=5))
def test_growing_in_steps_gives_the_plain_tree(steps: list[int]) -> None:
    reader, edge, entries = MemoryReader(), Edge(), list[bytes]()
    for number, step in enumerate(steps):
        more = [b"%d/%d" % (number, i) for i in range(step)]
        entries += more
        edge, files = edge.extended(more)
        reader.add(files)
        assert edge.root() == plain_root(entries) == root(edge.size, TileTree(reader, edge.size).node)
        assert Edge.load(reader, edge.size) == edge
    again = [
        entry for i in range(0, edge.size, 256) for entry in read_entries(reader, i // 256, min(256, edge.size - i))
    ]
    assert again == entries


def test_every_published_size_stays_readable_once_full_tiles_replace_partial_ones() -> None:
    reader, edge = MemoryReader(), Edge()
    sizes = [100, 256, 300, 513]
    entries = [b"%d" % i for i in range(513)]
    for old, new in zip([0, *sizes], sizes, strict=False):
        edge, files = edge.extended(entries[old:new])
        reader.add(files)
    for path in [path for path in reader.files if "/000.p/" in path and path.startswith(("tile/0", "tile/e"))]:
        del reader.files[path]
    for size in sizes[1:]:
        assert root(size, TileTree(reader, size).node) == plain_root(entries[:size])
    assert Edge.load(reader, 100).root() == plain_root(entries[:100]), "the full tile stands in for the partial one"


def test_tiles_of_another_length_are_refused() -> None:
    reader = MemoryReader()
    reader.files = {"tile/0/000.p/2": b"x" * 63, "tile/entries/000.p/2": encode_bundle([b"one"])}
    with pytest.raises(VerificationError):
        read_tile(reader, 0, 0, 2)
    with pytest.raises(VerificationError):
        read_entries(reader, 0, 2)
    with pytest.raises(FileNotFoundError):
        read_tile(reader, 0, 1, 2)


def test_an_incomplete_subtree_has_no_node() -> None:
    with pytest.raises(ValueError, match="not complete"):
        TileTree(MemoryReader(), 7).node(1, 3)


def test_a_directory_is_a_reader(tmp_path: Path) -> None:
    (tmp_path / "tile").mkdir()
    (tmp_path / "tile" / "x").write_bytes(b"content")
    assert DirectoryReader(tmp_path).read("tile/x") == b"content"
    with pytest.raises(FileNotFoundError):
        DirectoryReader(tmp_path).read("tile/y")
