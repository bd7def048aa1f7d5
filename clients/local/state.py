"""The state folder of a mesh on this machine: which processes were started, where they listen, and their files.

Everything in it is for its owner only (0700, files 0600): it holds private keys, a password and a socket.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

from mesh.errors import ConfigError

DEFAULT = Path(".mayfly")
_FOLDERS = ("pki", "keys", "log", "logs", "valkey")


@dataclass(frozen=True, slots=True)
class ProcessRecord:
    """A process that we started. ``started`` tells it from a later process that was given the same pid."""

    pid: int
    started: str
    address: str = ""
    ops_address: str = ""


@dataclass(slots=True)
class MeshRecord:
    """What mesh.json holds. processes: in the order in which they were started."""

    processes: dict[str, ProcessRecord] = field(default_factory=dict)
    valkey_socket: str = ""


class StateFolder:
    """Paths below one root, and mesh.json."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()
        self.pki = self.root / "pki"
        self.keys = self.root / "keys"
        self.transparency_log = self.root / "log"
        self.service_logs = self.root / "logs"
        self.valkey = self.root / "valkey"
        self._mesh_file = self.root / "mesh.json"

    def shards(self, replica: str) -> Path:
        """What the replica of purge called ``replica`` is told of the others' logs."""
        return self.root / f"shards-of-{replica}.json"

    def create(self) -> None:
        """Makes the folders. Raises ConfigError when the place can't be written."""
        try:
            for path in (self.root, *(self.root / name for name in _FOLDERS)):
                path.mkdir(mode=0o700, parents=True, exist_ok=True)
                path.chmod(0o700)
        except OSError as error:
            raise ConfigError(f"The state folder {self.root} can't be written: {error.strerror}.") from None

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """One start or stop at a time; the second waits for the first."""
        with (self.root / "lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def read(self) -> MeshRecord | None:
        """What was started here and not stopped since; None if nothing. ConfigError when the file is damaged."""
        try:
            value = json.loads(self._mesh_file.read_text())
            processes = {name: ProcessRecord(**item) for name, item in value["processes"].items()}
            return MeshRecord(processes, value["valkey_socket"])
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError, AttributeError):
            raise ConfigError(f"{self._mesh_file} is damaged; stop what it started by hand, then delete it.") from None

    def write(self, record: MeshRecord) -> None:
        write_private(self._mesh_file, json.dumps(asdict(record), indent=1).encode() + b"\n")

    def clear(self) -> None:
        self._mesh_file.unlink(missing_ok=True)


def write_private(path: Path, data: bytes) -> None:
    """Replaces ``path`` at once, readable by its owner only."""
    fd, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # mkstemp's mode is 0600
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(data)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
