"""The agent's protocol, spoken with OpenSSH's own agent; and with ones that misbehave."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from mesh.errors import Unavailable
from mesh.transparency.agent import AgentKey, SshAgent
from mesh.transparency.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint
from mesh.transparency.note import Signer
from tests.unit.mesh.transparency.agents import RealAgent, needs_agent

KEY = Ed25519PrivateKey.from_private_bytes(b"a" * 32)
OTHER = Ed25519PrivateKey.from_private_bytes(b"o" * 32)


@pytest.fixture
def agent() -> Iterator[RealAgent]:
    running = RealAgent()
    yield running
    running.close()


@needs_agent
def test_the_agents_signature_is_the_keys_own(agent: RealAgent) -> None:
    agent.add(KEY)
    agent.add(OTHER)
    client = SshAgent(agent.socket)
    assert client.keys() == [KEY.public_key(), OTHER.public_key()]
    key = AgentKey(client, KEY.public_key())
    for data in (b"", b"DSSEv1 3 a/b 1 c", bytes(range(256)) * 200):
        assert key.sign(data) == KEY.sign(data), "Ed25519 is deterministic (RFC 8032)"
    signer = Signer("mayfly.test/log", key)
    assert open_checkpoint(sign_checkpoint(Checkpoint(signer.name, 0, bytes(32)), signer), signer.verifier).size == 0
    client.close()


@needs_agent
def test_an_agent_that_was_restarted_is_found_again(agent: RealAgent) -> None:
    agent.add(KEY)
    key = AgentKey(SshAgent(agent.socket), KEY.public_key())
    key.sign(b"before")
    agent.stop()
    with pytest.raises(Unavailable, match="SIGNER_AWAY"):
        key.sign(b"while it is away")
    agent.start()
    with pytest.raises(Unavailable, match="refuses to sign"):
        key.sign(b"before it has the key again")
    agent.add(KEY)
    assert key.sign(b"after") == KEY.sign(b"after")
    agent.stop()
    agent.start()
    agent.add(KEY)
    assert key.sign(b"no request was lost") == KEY.sign(b"no request was lost")


def answering(path: Path, answer: bytes) -> None:
    """One connection after the other gets ``answer`` to its first request, and then nothing."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()

    def serve() -> None:
        kept = []
        for _ in range(2):
            connection, _ = listener.accept()
            connection.recv(65536)
            connection.sendall(answer)
            kept.append(connection)
        listener.close()

    threading.Thread(target=serve, daemon=True).start()


def string(data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + data


def signature_of(key: Ed25519PrivateKey, data: bytes, kind: bytes = b"ssh-ed25519") -> bytes:
    return string(b"\x0e" + string(string(kind) + string(key.sign(data))))


@pytest.mark.parametrize(
    "answer",
    [
        string(b"\x05"),
        string(b"\x0e"),
        string(b"\x0e" + b"\xff" * 8),
        string(b""),
        (1 << 30).to_bytes(4, "big"),
        b"",
        signature_of(KEY, b"data")[:40],
        signature_of(KEY, b"other data"),
        signature_of(OTHER, b"data"),
        signature_of(KEY, b"data", b"sk-ssh-ed25519@openssh.com"),
    ],
)
def test_what_is_no_signature_is_refused_within_its_time(tmp_path: Path, answer: bytes) -> None:
    answering(tmp_path / "s", answer)
    client = SshAgent(tmp_path / "s", seconds=0.2)
    with pytest.raises(Unavailable, match="SIGNER_AWAY"):
        client.sign(KEY.public_key(), b"data")
    client.close()


def test_the_double_would_have_been_believed(tmp_path: Path) -> None:
    answering(tmp_path / "s", signature_of(KEY, b"data"))
    assert SshAgent(tmp_path / "s").sign(KEY.public_key(), b"data") == KEY.sign(b"data")


@pytest.mark.parametrize(
    "answer", [string(b"\x05"), string(b"\x0c\xff\xff\xff\xff"), string(b"\x0c\x00\x00\x00\x01ab")]
)
def test_a_list_that_is_none_is_refused(tmp_path: Path, answer: bytes) -> None:
    answering(tmp_path / "s", answer)
    with pytest.raises(Unavailable):
        SshAgent(tmp_path / "s", seconds=0.2).keys()
