"""Checkpoints are parsed strictly; the format's example is that of C2SP tlog-checkpoint."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh.transparency.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint
from mesh.transparency.errors import VerificationError
from mesh.transparency.note import Signer

EXAMPLE = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
SIGNER = Signer("example.com/behind-the-sofa", Ed25519PrivateKey.from_private_bytes(b"s" * 32))


def test_the_specifications_example() -> None:
    checkpoint = Checkpoint.parse(EXAMPLE)
    assert (checkpoint.origin, checkpoint.size) == ("example.com/behind-the-sofa", 20852163)
    assert checkpoint.root.hex().startswith("0ac5186a91863e8e1d90c808014aa89b")
    assert checkpoint.text() == EXAMPLE
    assert open_checkpoint(sign_checkpoint(checkpoint, SIGNER), SIGNER.verifier) == checkpoint


@settings(deadline=None)
@given(st.integers(0, (1 << 63) - 1), st.binary(min_size=32, max_size=32), st.lists(st.sampled_from("ab"), max_size=3))
def test_checkpoints_come_back(size: int, root: bytes, extensions: list[str]) -> None:
    checkpoint = Checkpoint("example.com/behind-the-sofa", size, root, tuple(extensions))
    assert Checkpoint.parse(checkpoint.text()) == checkpoint


@pytest.mark.parametrize(
    "bent",
    [
        "",
        "\n",
        EXAMPLE[:-1],
        EXAMPLE + "\n",
        EXAMPLE + "extension",
        EXAMPLE + "\nextension\n",
        EXAMPLE.replace("example.com/behind-the-sofa", ""),
        EXAMPLE.replace("20852163", "020852163"),
        EXAMPLE.replace("20852163", "+20852163"),
        EXAMPLE.replace("20852163", "-1"),
        EXAMPLE.replace("20852163", " 20852163"),
        EXAMPLE.replace("20852163", "2_0852163"),
        EXAMPLE.replace("20852163", "٢٠"),
        EXAMPLE.replace("20852163", "²"),
        EXAMPLE.replace("20852163", ""),
        EXAMPLE.replace("20852163", "9" * 5000),
        EXAMPLE.replace("20852163", str(1 << 63)),
        EXAMPLE.replace("q2I=", "q2J="),
        EXAMPLE.replace("q2I=", "q2I"),
        EXAMPLE.replace("q2I=", "q2IA"),
        EXAMPLE.replace("CsUY", "CsU"),
        EXAMPLE.replace("CsUYapGG", ""),
    ],
)
def test_malformed_checkpoints_are_refused(bent: str) -> None:
    with pytest.raises(VerificationError):
        Checkpoint.parse(bent)


def test_another_logs_checkpoint_is_refused() -> None:
    other = Checkpoint("example.com/other", 1, b"r" * 32)
    with pytest.raises(VerificationError, match="origin"):
        open_checkpoint(sign_checkpoint(other, SIGNER), SIGNER.verifier)
