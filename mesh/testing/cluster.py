"""A cluster of three primaries that share the slots, each with a replica if the test wants a primary's death survived.

The nodes' own configuration files are written beforehand, so that they are a cluster from the first moment.
"""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Sequence
from types import TracebackType

import redis

from mesh.testing.ports import HOST, Reserved
from mesh.testing.redis_server import READY_WITHIN, RedisServer, Tls, Users

SLOTS = ((0, 5460), (5461, 10922), (10923, 16383))
_NODE_TIMEOUT = 1000  # ms
_PATIENT = 15_000  # ms: the same, until it has formed. A machine that stalls meanwhile must not make it fail over


class Cluster:
    """A context manager. servers: the primaries at the start. replicas: theirs, in the same order, or none."""

    def __init__(
        self,
        users: Users,
        arguments: Sequence[str] = (),
        *,
        replicas: bool = False,
        binary: str = "",
        tls: Tls | None = None,
    ) -> None:
        self.users = users
        self._scheme = "rediss" if tls else "redis"
        usual = [
            "--cluster-enabled", "yes", "--cluster-node-timeout", str(_PATIENT), "--cluster-config-file",
            "nodes.conf", "--cluster-replica-validity-factor", "0",
        ]  # fmt: skip
        if tls:
            usual += ["--tls-cluster", "yes"]
        self._reserved = [Reserved() for _ in range(6 if replicas else 3)]
        self._buses = [bus.number for bus in self._reserved]
        servers = [
            RedisServer(users, [*usual, "--cluster-port", str(bus), *arguments], binary=binary, tls=tls)
            for bus in self._buses
        ]
        self.servers, self.replicas = servers[:3], servers[3:]

    @property
    def url(self) -> str:
        """For MAYFLY_REDIS_URL."""
        hosts = ",".join(f"{HOST}:{server.port}" for server in self.servers)
        return f"{self._scheme}+cluster://{self.users.username}:{self.users.password}@{hosts}"

    def __enter__(self) -> Cluster:
        servers = [*self.servers, *self.replicas]
        ids = [secrets.token_hex(20) for _ in servers]
        for mine, server in enumerate(servers):
            lines = [self._line(index, ids, mine) for index in range(len(servers))]
            (server.directory / "nodes.conf").write_text("\n".join([*lines, "vars currentEpoch 3 lastVoteEpoch 0", ""]))
        try:
            for server in servers:
                server.launch()
            for server in servers:
                server.answers(READY_WITHIN)
            self._wait_until_formed(servers)
            for server in servers:
                server.ask("CONFIG", "SET", "cluster-node-timeout", _NODE_TIMEOUT)
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for server in (*self.servers, *self.replicas):
            server.stop()
        for bus in self._reserved:
            bus.close()

    def _line(self, index: int, ids: list[str], mine: int) -> str:
        """One node, as nodes.conf has it: id, address, flags, primary, ping, pong, epoch, link, slots."""
        server = [*self.servers, *self.replicas][index]
        myself = "myself," if index == mine else ""
        address = f"{HOST}:{server.port}@{self._buses[index]}"
        if index >= len(SLOTS):
            primary = index - len(SLOTS)
            return f"{ids[index]} {address} {myself}slave {ids[primary]} 0 0 {primary + 1} connected"
        first, last = SLOTS[index]
        return f"{ids[index]} {address} {myself}master - 0 0 {index + 1} connected {first}-{last}"

    def _wait_until_formed(self, servers: Sequence[RedisServer]) -> None:
        deadline = time.monotonic() + READY_WITHIN
        while not all(self._is_up(server) for server in servers):
            if time.monotonic() > deadline:
                raise RuntimeError("the cluster did not form")
            time.sleep(0.02)

    def _is_up(self, server: RedisServer) -> bool:
        with contextlib.suppress(redis.RedisError, OSError), server.admin() as admin:
            state = admin.execute_command("CLUSTER INFO")
            link = admin.info("replication")
            whole = state.get("cluster_state") == "ok" and int(state["cluster_known_nodes"]) == len(self._buses)
            replicated = link["role"] == "master" or link["master_link_status"] == "up"
            return bool(whole and replicated)
        return False
