"""A real Triton server for tests: on a port of its own, with our networks, started and ended by process id."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType

import pytest
from cryptography import x509

from clients.local.authority import KeyPair, loopback_names, new_authority, new_leaf, utc_now
from deploy.triton.lay_out import lay_out
from deploy.triton.serve import shared_memory, sweep_shared_memory
from mesh.testing.ports import HOST, Reserved

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = ROOT / ".tools/triton"
IDENTITY = "triton.pool.test"


def needs_triton() -> None:
    """Skips where `make triton` hasn't been run."""
    if not (ENVIRONMENT / ".ready").is_file():
        pytest.skip("Triton is not installed (make triton)")


class Authority:
    """The pool operator's own CA: not the mesh's."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._pair = new_authority(utc_now())
        self.ca = folder / "pool-ca.pem"
        self.ca.write_bytes(self._pair.certificate_pem())

    def leaf(self) -> KeyPair:
        """A server's certificate."""
        return new_leaf(self._pair, "triton", [x509.DNSName(IDENTITY), *loopback_names()], utc_now())

    def files(self, name: str, pair: KeyPair) -> tuple[Path, Path]:
        """(certificate, key)."""
        cert, key = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        cert.write_bytes(pair.certificate_pem())
        key.write_bytes(pair.key_pem())
        return cert, key


def processors_file(folder: Path, *, ca: Path, endpoints: Sequence[str], identity: str = IDENTITY) -> Path:
    """A pinned list of one processor, "triton-here"."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "processors.toml"
    path.write_text(
        "[[processor]]\n"
        'name = "triton-here"\noperator = "Tests"\nregion = "loopback"\n'
        f"endpoints = [{', '.join(repr(endpoint) for endpoint in endpoints)}]\n"
        f'ca = "{ca}"\nidentity = "{identity}"\n'
        'models = { cut_out = "1", stylize = "1" }\n'
        "terms = { no_retention = true, no_training = true }\n",
        encoding="utf-8",
    )
    return path


class TritonServer:
    """A context manager, or ``start()`` and ``stop()``. Whoever started it waits for readiness by its own means.

    folder: for the repository, the log and certificates. client_ca: whose clients are let in, PEM.
    """

    def __init__(self, folder: Path, *, authority: Authority, client_ca: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._cert, self._key = authority.files(f"{folder.name}-triton", authority.leaf())
        self._client_ca = client_ca
        self._port = Reserved()
        self._process: subprocess.Popen[bytes] | None = None
        self.address = f"{HOST}:{self._port.number}"
        self.log = folder / "triton.log"

    @property
    def pid(self) -> int:
        assert self._process is not None, "not started"
        return self._process.pid

    @property
    def networks(self) -> list[int]:
        """The processes in which its networks run."""
        children = Path(f"/proc/{self.pid}/task").glob("*/children")
        return [int(word) for path in children for word in path.read_text().split()]

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self, change: Callable[[str], str] = lambda config: config) -> TritonServer:
        """change: of each model's configuration."""
        repository = self._folder / "repository"
        lay_out(repository)
        for config in repository.glob("*/config.pbtxt"):
            config.write_text(change(config.read_text("utf-8")), "utf-8")
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [
                    str(ENVIRONMENT / "bin/python"), str(ROOT / "deploy/triton/serve.py"), str(repository),
                    "--listen", self.address, "--cert", str(self._cert), "--key", str(self._key),
                    "--client-ca", str(self._client_ca),
                ],
                stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=self._folder,
            )  # fmt: skip
        return self

    def kill(self) -> None:
        """SIGKILL, in whatever it is doing, and its networks' processes after it."""
        if self._process is None:
            return
        networks = self.networks
        self._process.kill()
        self._process.wait()
        self._process = None
        for pid in networks:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        sweep_shared_memory(shared_memory(self.address))

    def stop(self) -> None:
        self.kill()
        self._port.close()

    def __enter__(self) -> TritonServer:
        return self if self.alive else self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
