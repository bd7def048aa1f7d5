"""A real ssh-agent for tests."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

needs_agent = pytest.mark.skipif(shutil.which("ssh-agent") is None, reason="needs OpenSSH's agent: openssh-client")


class RealAgent:
    """``socket`` is where it listens; ``stop`` and ``start`` restart it, and it forgets its keys."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="mayfly-agent-"))  # a socket's path may have 107 bytes
        self.socket = self._folder / "socket"
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        self._process = subprocess.Popen(
            ["ssh-agent", "-D", "-a", str(self.socket)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + 10
        while not self.socket.exists():
            assert time.monotonic() < deadline and self._process.poll() is None, "the agent does not start"
            time.sleep(0.005)

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)
            self._process = None
        self.socket.unlink(missing_ok=True)

    def add(self, key: Ed25519PrivateKey) -> None:
        path = self._folder / "key"
        path.touch(0o600)
        path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()))
        environment = {"SSH_AUTH_SOCK": str(self.socket), "PATH": "/usr/bin:/bin"}
        subprocess.run(["ssh-add", str(path)], env=environment, check=True, capture_output=True)
        path.unlink()

    def close(self) -> None:
        self.stop()
        shutil.rmtree(self._folder)


def public_line(key: Ed25519PrivateKey) -> bytes:
    """As in an id_ed25519.pub."""
    return key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH) + b" purge\n"
