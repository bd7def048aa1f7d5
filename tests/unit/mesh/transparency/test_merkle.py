"""The tree against RFC 6962's definition and the public vectors of transparency-dev/merkle (proof/verify_test.go)."""

from __future__ import annotations

import contextlib
import hashlib
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh.transparency.errors import VerificationError
from mesh.transparency.merkle import (
    EMPTY_ROOT,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    node_hash,
    root,
    verify_consistency,
    verify_inclusion,
)

LEAVES = [
    bytes.fromhex(leaf)
    for leaf in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
# 0-based index, size -> proof
INCLUSION = {
    (0, 1): [],
    (0, 8): [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ],
    (5, 8): [
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
    (2, 3): ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"],
    (1, 5): [
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ],
}
CONSISTENCY = {
    (1, 1): [],
    (1, 8): INCLUSION[0, 8],
    (6, 8): [
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
    (2, 5): [
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ],
    (6, 7): [
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "b08693ec2e721597130641e8211e7eedccb4c26413963eee6c1e2ed16ffb1a5f",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
}
OTHER = bytes.fromhex("abacaba000000000000000000000000000000000000000000060061e00123456")


class Tree:
    """The definition, word for word: MTH of RFC 6962 section 2.1."""

    def __init__(self, leaves: list[bytes]) -> None:
        self.leaves = leaves

    def mth(self, begin: int, end: int) -> bytes:
        if end - begin == 1:
            return hashlib.sha256(b"\x00" + self.leaves[begin]).digest()
        split = 1
        while split * 2 < end - begin:
            split *= 2
        left, right = self.mth(begin, begin + split), self.mth(begin + split, end)
        return hashlib.sha256(b"\x01" + left + right).digest()

    def node(self, level: int, index: int) -> bytes:
        assert (index + 1) << level <= len(self.leaves), "only complete subtrees may be asked for"
        return self.mth(index << level, (index + 1) << level)

    def root(self, size: int) -> bytes:
        return self.mth(0, size) if size else hashlib.sha256(b"").digest()


TREE = Tree(LEAVES)
BIG = Tree([bytes([i]) * (i % 5) for i in range(67)])


def test_the_empty_tree_has_the_hash_of_nothing() -> None:
    assert hashlib.sha256(b"").digest() == EMPTY_ROOT == root(0, TREE.node)


@pytest.mark.parametrize("size", range(1, 9))
def test_roots_of_the_standard_leaves(size: int) -> None:
    assert root(size, TREE.node).hex() == ROOTS[size - 1]


@pytest.mark.parametrize(("place", "expected"), INCLUSION.items())
def test_inclusion_vectors(place: tuple[int, int], expected: list[str]) -> None:
    index, size = place
    proof = inclusion_proof(index, size, TREE.node)
    assert [item.hex() for item in proof] == expected
    verify_inclusion(leaf_hash(LEAVES[index]), index, size, proof, bytes.fromhex(ROOTS[size - 1]))


@pytest.mark.parametrize(("sizes", "expected"), CONSISTENCY.items())
def test_consistency_vectors(sizes: tuple[int, int], expected: list[str]) -> None:
    old, new = sizes
    proof = consistency_proof(old, new, TREE.node)
    assert [item.hex() for item in proof] == expected
    verify_consistency(old, new, proof, bytes.fromhex(ROOTS[old - 1]), bytes.fromhex(ROOTS[new - 1]))


def test_every_inclusion_proof_up_to_67_leaves() -> None:
    for size in range(1, 68):
        for index in range(size):
            proof = inclusion_proof(index, size, BIG.node)
            verify_inclusion(leaf_hash(BIG.leaves[index]), index, size, proof, BIG.root(size))


def test_every_consistency_proof_up_to_67_leaves() -> None:
    for new in range(68):
        for old in range(new + 1):
            verify_consistency(old, new, consistency_proof(old, new, BIG.node), BIG.root(old), BIG.root(new))


def _corrupted(proof: list[bytes], *extra: bytes) -> list[list[bytes]]:
    """The ways in which transparency-dev/merkle's tests spoil a proof."""
    spoiled = [[*proof, b""], [b"", *proof], [*proof, OTHER], [OTHER, *proof]]
    spoiled += [[*proof, item] for item in extra] + [[item, *proof] for item in extra]
    for at, item in enumerate(proof):
        flipped = bytes([item[0] ^ 8]) + item[1:]
        spoiled += [[*proof[:at], flipped, *proof[at + 1 :]], [*proof[:at], *proof[at + 1 :]], [*proof[:at], OTHER]]
    spoiled += [[*proof[:at], b, a, *proof[at + 2 :]] for at, (a, b) in enumerate(pairwise(proof))]
    return spoiled


@pytest.mark.parametrize("place", INCLUSION)
def test_spoiled_inclusion_is_refused(place: tuple[int, int]) -> None:
    index, size = place
    leaf, top = leaf_hash(LEAVES[index]), TREE.root(size)
    proof = inclusion_proof(index, size, TREE.node)
    attempts = [(leaf, index, size, wrong, top) for wrong in _corrupted(proof, top)]
    attempts += [(leaf, wrong, size, proof, top) for wrong in (index - 1, index + 1, index ^ 2, size, -1, 1 << 64)]
    attempts += [(leaf, index, wrong, proof, top) for wrong in (size * 2, size // 2, 0, -1) if wrong != size]
    attempts += [(wrong, index, size, proof, top) for wrong in (OTHER, b"WrongLeaf", b"")]
    attempts += [(leaf, index, size, proof, wrong) for wrong in (OTHER, EMPTY_ROOT, b"")]
    for attempt in attempts:
        with pytest.raises(VerificationError):
            verify_inclusion(*attempt)


@pytest.mark.parametrize("sizes", [sizes for sizes in CONSISTENCY if sizes != (1, 1)])
def test_spoiled_consistency_is_refused(sizes: tuple[int, int]) -> None:
    old, new = sizes
    before, after = TREE.root(old), TREE.root(new)
    proof = consistency_proof(old, new, TREE.node)
    attempts = [(old, new, wrong, before, after) for wrong in ([], *_corrupted(proof, before, after, proof[0]))]
    attempts += [(wrong, new, proof, before, after) for wrong in (old - 1, old + 1, old ^ 2, -1)]
    attempts += [(old, wrong, proof, before, after) for wrong in (new * 2, new // 2, -1)]
    attempts += [(old, new, proof, OTHER, after), (old, new, proof, before, OTHER), (old, new, proof, after, before)]
    for attempt in attempts:
        with pytest.raises(VerificationError):
            verify_consistency(*attempt)


@pytest.mark.parametrize(
    ("old", "new", "proof", "before", "after"),
    [
        (0, 0, [], OTHER, OTHER),
        (0, 0, [], EMPTY_ROOT, OTHER),
        (0, 1, [], OTHER, OTHER),
        (0, 1, [OTHER], EMPTY_ROOT, OTHER),
        (1, 1, [], OTHER, EMPTY_ROOT),
        (1, 1, [OTHER], OTHER, OTHER),
        (1, 0, [], OTHER, EMPTY_ROOT),
        (2, 1, [], OTHER, OTHER),
        (1, 2, [], OTHER, OTHER),
    ],
)
def test_trivial_consistency_is_checked_too(
    old: int, new: int, proof: list[bytes], before: bytes, after: bytes
) -> None:
    with pytest.raises(VerificationError):
        verify_consistency(old, new, proof, before, after)


anything = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=40) | st.binary(max_size=40)
hashes = st.binary(min_size=32, max_size=32)


@settings(deadline=None)
@given(anything, anything, anything, st.lists(anything) | anything, anything)
def test_nothing_but_a_verification_error_comes_out(a: object, b: object, c: object, d: object, e: object) -> None:
    for verify, arguments in ((verify_inclusion, (a, b, c, d, e)), (verify_consistency, (b, c, d, a, e))):
        with contextlib.suppress(VerificationError):
            verify(*arguments)  # type: ignore[arg-type]


@settings(deadline=None)
@given(st.integers(0, 1 << 62), st.integers(1, 1 << 62), st.lists(hashes, max_size=70), hashes, hashes)
def test_random_proofs_are_refused(index: int, size: int, proof: list[bytes], leaf: bytes, top: bytes) -> None:
    if leaf != top:
        with pytest.raises(VerificationError):
            verify_inclusion(leaf, index, size, proof, top)
        with pytest.raises(VerificationError):
            verify_consistency(index, size, proof, leaf, top)


@settings(deadline=None)
@given(st.data())
def test_a_proof_for_a_tree_with_one_other_leaf_is_refused(data: st.DataObject) -> None:
    size = data.draw(st.integers(2, 67))
    changed, index = data.draw(st.integers(0, size - 1)), data.draw(st.integers(0, size - 1))
    other = Tree([*BIG.leaves[:changed], b"changed", *BIG.leaves[changed + 1 :]])
    if changed != index:
        with pytest.raises(VerificationError):
            verify_inclusion(
                leaf_hash(BIG.leaves[index]), index, size, inclusion_proof(index, size, BIG.node), other.root(size)
            )
    old = data.draw(st.integers(changed + 1, size))
    if old < size:
        with pytest.raises(VerificationError):
            proof = consistency_proof(old, size, other.node)
            verify_consistency(old, size, proof, BIG.root(old), other.root(size))


def test_proofs_for_what_the_tree_does_not_have() -> None:
    for index, size in ((0, 0), (3, 3), (-1, 3)):
        with pytest.raises(ValueError, match="no leaf"):
            inclusion_proof(index, size, TREE.node)
    with pytest.raises(ValueError, match="no proof"):
        consistency_proof(4, 3, TREE.node)


def test_leaf_and_node_hashes_are_separated() -> None:
    assert leaf_hash(b"ab" * 32) != node_hash(b"ab" * 16, b"ab" * 16)


def test_a_proof_may_not_be_longer_than_its_tree_is_high() -> None:
    """Otherwise the last leaf of a larger tree would pass as the only one of a tree with the same root."""
    hashes = [leaf_hash(leaf) for leaf in LEAVES[:2]]
    with pytest.raises(VerificationError, match="longer"):
        verify_inclusion(hashes[1], 0, 1, [hashes[0]], TREE.root(2))
    above = node_hash(OTHER, TREE.root(3)), node_hash(OTHER, TREE.root(4))
    with pytest.raises(VerificationError, match="longer"):
        verify_consistency(3, 4, [*consistency_proof(3, 4, TREE.node), OTHER], *above)
