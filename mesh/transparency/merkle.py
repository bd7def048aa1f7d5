"""The Merkle tree of RFC 6962 section 2.1 (the same tree as RFC 9162 section 2.1), with SHA-256.

Building and proving read complete subtrees through a function ``node(level, index)``: the hash over the leaves
``[index << level, (index + 1) << level)``. Tiles supply it, so no tree is ever held in memory.
Proofs list hashes from the leaf up. Verifying raises VerificationError and nothing else, whatever it is given.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

from mesh.transparency.errors import VerificationError

HASH_SIZE = 32
EMPTY_ROOT = hashlib.sha256(b"").digest()
MAX_SIZE = 1 << 63

NodeReader = Callable[[int, int], bytes]


def leaf_hash(entry: bytes) -> bytes:
    """SHA-256(0x00 || entry)."""
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """SHA-256(0x01 || left || right)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def fold(subtrees: Sequence[bytes]) -> bytes:
    """The hash over adjacent complete subtrees of falling size, leftmost first. At least one."""
    result = subtrees[-1]
    for left in reversed(subtrees[:-1]):
        result = node_hash(left, result)
    return result


def root(size: int, node: NodeReader) -> bytes:
    """MTH(D[0:size])."""
    return _range_hash(0, size, node) if size else EMPTY_ROOT


def inclusion_proof(index: int, size: int, node: NodeReader) -> list[bytes]:
    """PATH(index, D[0:size]), RFC 9162 section 2.1.3.1. Raises ValueError unless 0 <= index < size."""
    if not 0 <= index < size:
        raise ValueError(f"no leaf {index} in a tree of size {size}")
    proof, begin, end = [], 0, size
    while end - begin > 1:
        middle = begin + _split(end - begin)
        if index < middle:
            proof.append(_range_hash(middle, end, node))
            end = middle
        else:
            proof.append(_range_hash(begin, middle, node))
            begin = middle
    return proof[::-1]


def consistency_proof(old: int, new: int, node: NodeReader) -> list[bytes]:
    """PROOF(old, D[0:new]), RFC 9162 section 2.1.4.1. Empty for old 0. Raises ValueError unless 0 <= old <= new."""
    if not 0 <= old <= new:
        raise ValueError(f"no proof from size {old} to size {new}")
    if old in (0, new):
        return []
    proof, begin, end = [], 0, new
    while end != old:
        middle = begin + _split(end - begin)
        if old <= middle:
            proof.append(_range_hash(middle, end, node))
            end = middle
        else:
            proof.append(_range_hash(begin, middle, node))
            begin = middle
    if begin:  # otherwise the verifier has this hash already: it is the old root
        proof.append(_range_hash(begin, end, node))
    return proof[::-1]


def verify_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> None:
    """RFC 9162 section 2.1.3.2. ``leaf`` is the leaf's hash. Raises VerificationError("inclusion", ...)."""
    _check_number(index, "inclusion")
    _check_number(size, "inclusion")
    _check_hashes([leaf, root, *_as_list(proof, "inclusion")], "inclusion")
    if index >= size:
        raise VerificationError("inclusion", "The index lies beyond the tree.")
    place, last, computed = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            raise VerificationError("inclusion", "The proof is longer than the tree is high.")
        if place & 1 or place == last:
            computed = node_hash(sibling, computed)
            place, last = _skip_lone(place, last)
        else:
            computed = node_hash(computed, sibling)
        place, last = place >> 1, last >> 1
    if last != 0 or computed != root:
        raise VerificationError("inclusion", "The proof does not lead to the tree's root.")


def verify_consistency(old: int, new: int, proof: Sequence[bytes], old_root: bytes, new_root: bytes) -> None:
    """RFC 9162 section 2.1.4.2; the empty tree is consistent with every tree. Raises VerificationError."""
    _check_number(old, "consistency")
    _check_number(new, "consistency")
    hashes = _as_list(proof, "consistency")
    _check_hashes([old_root, new_root, *hashes], "consistency")
    if old > new:
        raise VerificationError("consistency", "The older tree is larger than the newer one.")
    if old in (0, new):
        _check_trivial(old, hashes, old_root, new_root if old == new else EMPTY_ROOT)
        return
    if old & (old - 1) == 0:
        hashes = [old_root, *hashes]
    _check_chain(old, new, hashes, old_root, new_root)


def _check_trivial(old: int, proof: list[bytes], old_root: bytes, expected: bytes) -> None:
    if proof or old_root != expected or (old == 0 and old_root != EMPTY_ROOT):
        raise VerificationError("consistency", "Two trees of one size, or an empty tree, have other roots or a proof.")


def _check_chain(old: int, new: int, hashes: list[bytes], old_root: bytes, new_root: bytes) -> None:
    place, last = old - 1, new - 1
    while place & 1:
        place, last = place >> 1, last >> 1
    if not hashes:
        raise VerificationError("consistency", "The proof is empty.")
    before = after = hashes[0]
    for sibling in hashes[1:]:
        if last == 0:
            raise VerificationError("consistency", "The proof is longer than the tree is high.")
        if place & 1 or place == last:
            before, after = node_hash(sibling, before), node_hash(sibling, after)
            place, last = _skip_lone(place, last)
        else:
            after = node_hash(after, sibling)
        place, last = place >> 1, last >> 1
    if last != 0 or before != old_root or after != new_root:
        raise VerificationError("consistency", "The proof does not lead from the older root to the newer one.")


def _skip_lone(place: int, last: int) -> tuple[int, int]:
    """On the right edge, levels without a sibling contribute no hash: go up to the level where ``place`` is odd."""
    while place and not place & 1:
        place, last = place >> 1, last >> 1
    return place, last


def _range_hash(begin: int, end: int, node: NodeReader) -> bytes:
    """MTH(D[begin:end]) for a range that the RFC's splitting yields: complete subtrees of falling size."""
    subtrees = []
    while begin < end:
        level = (end - begin).bit_length() - 1
        subtrees.append(node(level, begin >> level))
        begin += 1 << level
    return fold(subtrees)


def _split(size: int) -> int:
    """The largest power of two smaller than ``size`` (size > 1)."""
    return 1 << ((size - 1).bit_length() - 1)


def _check_number(value: object, check: str) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < MAX_SIZE:
        raise VerificationError(check, "An index or a size is not a number of this tree.")


def _as_list(proof: object, check: str) -> list[bytes]:
    if not isinstance(proof, list | tuple):
        raise VerificationError(check, "The proof is not a list of hashes.")
    return list(proof)


def _check_hashes(hashes: Sequence[object], check: str) -> None:
    if any(not isinstance(item, bytes) or len(item) != HASH_SIZE for item in hashes):
        raise VerificationError(check, "A hash does not have 32 bytes.")
