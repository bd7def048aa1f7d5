"""Our trees and proofs in the eyes of somebody else's library: pymerkle builds the same trees, and verifies our proofs.

Its consistency proofs have another form than RFC 6962's, so ours are checked against the roots that it computes.
"""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from mesh.clock import SystemClock
from mesh.transparency.checkpoint import open_checkpoint
from mesh.transparency.errors import VerificationError
from mesh.transparency.merkle import verify_consistency
from mesh.transparency.note import Signer
from services.purge.log import Log

pymerkle = pytest.importorskip("pymerkle", reason="needs pymerkle: the dev extra")
LOG = Signer("mayfly.test/log", Ed25519PrivateKey.from_private_bytes(b"l" * 32))


def tree_of(entries: list[bytes]) -> object:
    tree = pymerkle.InmemoryTree(algorithm="sha256")
    for entry in entries:
        tree.append_entry(entry)
    return tree


def with_path(proof: object, hashes: list[bytes]) -> object:
    """Its proof of this place, with the hashes of ours; the form follows from index and size alone."""
    data = proof.serialize()  # type: ignore[attr-defined]
    return pymerkle.InclusionProof.deserialize(data | {"path": [item.hex() for item in hashes]})


@pytest.mark.parametrize("seed", range(6))
def test_a_log_of_ours_is_a_tree_of_theirs(tmp_path: Path, seed: int) -> None:
    choose = random.Random(seed)
    sizes = sorted(choose.sample(range(1, 700), 6))
    entries = [choose.randbytes(choose.randrange(60)) for _ in range(sizes[-1])]
    theirs = tree_of(entries)

    async def run() -> None:
        log = Log.open(tmp_path, origin=LOG.name, signer=LOG, clock=SystemClock())
        for size in sizes:
            await log.append_many(entries[log.size : size])
            await log.integrate()
            root = theirs.get_root(size)  # type: ignore[attr-defined]
            assert open_checkpoint(log.checkpoint, LOG.verifier).root == root
            for index in {0, size - 1, *(choose.randrange(size) for _ in range(30))}:
                _check_inclusion(theirs, log, index, size, root)
            for old in {1, size, *(choose.randrange(1, size + 1) for _ in range(30))}:
                before = theirs.get_root(old)  # type: ignore[attr-defined]
                verify_consistency(old, size, log.consistency_proof(old), before, root)
                if old != size:
                    with pytest.raises(VerificationError):
                        verify_consistency(old, size, log.consistency_proof(old), before[::-1], root)
        await log.close()

    asyncio.run(run())


def _check_inclusion(theirs: object, log: Log, index: int, size: int, root: bytes) -> None:
    proof, leaf = theirs.prove_inclusion(index + 1, size), theirs.get_leaf(index + 1)  # type: ignore[attr-defined]
    ours = with_path(proof, [leaf, *log.inclusion_proof(index)])
    pymerkle.verify_inclusion(leaf, root, ours, index=index + 1, size=size, algorithm="sha256")
    if size > 1:
        spoiled = with_path(proof, [leaf, *log.inclusion_proof(index)[:-1], bytes(32)])
        with pytest.raises(pymerkle.InvalidProof):
            pymerkle.verify_inclusion(leaf, root, spoiled, index=index + 1, size=size)
