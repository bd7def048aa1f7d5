"""A program that watches: found on this machine, started on a port of its own, ended by its pid."""

from __future__ import annotations

import os
import shutil
import time
import urllib.error
import urllib.request
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from clients.local.failures import StartFailed
from clients.local.ports import free_ports
from clients.local.processes import Child, end, keep, spawn, started_at
from clients.local.state import ProcessRecord
from mesh.errors import ConfigError

HOST = "127.0.0.1"
_READY_SECONDS = 30.0
_END_SECONDS = 10.0
_POLL = 0.05
_INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR")


def find(name: str, package: str) -> str:
    """Its path. ConfigError, one line, where it is not installed."""
    found = shutil.which(name)
    if found is None:
        raise ConfigError(f"{name} is not installed (Debian: {package}).")
    return found


class Program(ABC):
    """A context manager. folder: an existing one, for its configuration, data and log.

    port: None: one that is free now. ready: where it answers with 200 once it is ready.
    """

    def __init__(self, name: str, folder: Path, port: int | None = None, *, ready: str = "/-/ready") -> None:
        self._name = name
        self._ready = ready
        self._log = folder / f"{name}.log"
        self._child: Child | None = None
        self._record: ProcessRecord | None = None
        self._kept: Path | None = None
        self.folder = folder
        self.address = f"{HOST}:{port or free_ports(1)[0]}"
        self.url = f"http://{self.address}"

    @property
    def pid(self) -> int | None:
        return self._record.pid if self._record is not None else None

    @abstractmethod
    def command(self) -> Sequence[str]:
        """What is to be started. Raises ConfigError."""

    def environment(self) -> Mapping[str, str]:
        """Its whole environment."""
        return {name: os.environ[name] for name in _INHERITED if name in os.environ}

    def start(self) -> Self:
        """Returns when it is ready. Raises ConfigError, StartFailed with its last line; then nothing runs."""
        self._child = spawn(self.command(), env=self.environment(), cwd=self.folder, log=self._log)
        self._record = ProcessRecord(self._child.pid, started_at(self._child.pid) or "")
        deadline = time.monotonic() + _READY_SECONDS
        try:
            self._kept = keep(self._record, self.folder, self._name)
            while not self._is_ready():
                if self._child.poll() is not None or time.monotonic() > deadline:
                    self._child.has_been_heard()
                    raise StartFailed(f"{self._name} did not start: {self._last_line()}")
                time.sleep(_POLL)
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Ends it, if it runs."""
        if self._record is not None and self._child is not None:
            end(self._record, _END_SECONDS)
            self._child.wait()
            self._child.has_been_heard()
        if self._kept is not None:
            self._kept.unlink(missing_ok=True)
        self._record = self._child = self._kept = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}{self._ready}", timeout=1) as answer:  # noqa: S310 - our own, on loopback
                return bool(answer.status == 200)
        except (OSError, urllib.error.URLError):
            return False

    def _last_line(self) -> str:
        lines = self._log.read_text(errors="replace").splitlines()
        return lines[-1] if lines else "it said nothing"
