"""Which server has a key: one server, the primary that Sentinel names, or the shards of a cluster."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, Protocol

from redis.asyncio import ConnectionPool, Redis, RedisCluster, UnixDomainSocketConnection
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel, SentinelConnectionPool
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as Disconnected
from redis.exceptions import MovedError
from redis.maint_notifications import MaintNotificationsConfig

from services.purge.address import Host, Kind, RedisAddress, Target, is_loopback
from services.purge.refusal import FAILURES
from services.purge.wire import PLAIN, SENTINEL_PLAIN, TIMEOUT, FreshSentinelTls, FreshTls, converse

MAX_CONNECTIONS = 32  # to each server
Options = dict[str, Any]


class Server(Protocol):
    """One primary. name: distinguishes it from the other primaries, for as long as it is one."""

    name: str

    @property
    def private(self) -> bool:
        """Whether nobody can read along: TLS, a unix socket, or loopback."""

    async def exchange(self, packed: Sequence[bytes]) -> list[Any]:
        """One reply for each command; an exception where there is none."""


class Topology(Protocol):
    """client: the Redis client's own object, which finds its servers by itself."""

    client: Any

    @property
    def only(self) -> Server | None:
        """The server that has every key, if there is one."""

    async def ready(self) -> None:
        """Finds the servers, unless they are known. Raises FAILURES."""

    def server_of(self, key: str) -> Server:
        """The server that has the key, as far as is known. Raises FAILURES."""

    def primaries(self) -> Sequence[Server]: ...

    async def refresh(self) -> None:
        """Finds the servers anew. Raises FAILURES."""

    async def moved(self, error: MovedError) -> None:
        """Learns from a server that a slot is another's."""

    async def close(self) -> None: ...


class _Pooled:
    """One server behind a pool. host: where it is, asked at each look; None for a socket, or while nobody knows."""

    def __init__(self, pool: ConnectionPool, tls: bool, host: Callable[[], str | None]) -> None:
        self.name = "primary"
        self._pool = pool
        self._tls = tls
        self._host = host

    @property
    def private(self) -> bool:
        host = self._host()
        return self._tls or host is None or is_loopback(host)

    async def exchange(self, packed: Sequence[bytes]) -> list[Any]:
        try:
            connection = await self._pool.get_connection()  # type: ignore[no-untyped-call]
        except FAILURES as error:
            return [Disconnected(type(error).__name__)] * len(packed)
        try:
            return await converse(connection, packed)
        finally:
            await self._pool.release(connection)


class _Whole:
    """One primary that has all keys."""

    only: Server

    async def ready(self) -> None:
        """Nothing is to be found before the first connection."""

    def server_of(self, key: str) -> Server:
        return self.only

    def primaries(self) -> Sequence[Server]:
        return (self.only,)

    async def moved(self, error: MovedError) -> None:
        """Only a cluster's node says so, which this is not."""
        raise error


class Single(_Whole):
    """The one server of a unix socket or of a TCP address."""

    def __init__(self, address: RedisAddress, target: Target) -> None:
        self._pool = _pool_to(address, target)
        self.client: Any = Redis.from_pool(self._pool)
        host = target.hosts[0].host if target.hosts else None
        self.only = _Pooled(self._pool, target.tls, lambda: host)

    async def refresh(self) -> None:
        """A failed connection is gone already; the next one resolves the name anew."""

    async def close(self) -> None:
        await self.client.aclose()
        await self._pool.disconnect()


class Sentinels(_Whole):
    """The primary that the sentinels name. A connection that fails asks them again."""

    def __init__(self, address: RedisAddress, target: Target) -> None:
        usual = connection_options(address, target)
        self._sentinel = Sentinel([], **usual)  # type: ignore[no-untyped-call]
        private = {**usual, "username": address.sentinel_username, "password": address.sentinel_password}
        self._sentinel.sentinels = [Redis.from_pool(_pool(target, private, host, 4)) for host in target.hosts]
        self._pool: Any = SentinelConnectionPool(  # type: ignore[no-untyped-call]
            target.master,
            self._sentinel,
            connection_class=FreshSentinelTls if target.tls else SENTINEL_PLAIN,
            max_connections=MAX_CONNECTIONS,
            db=target.db,
            **usual,
        )
        self.client: Any = Redis.from_pool(self._pool)
        self.only = _Pooled(self._pool, target.tls, self._named)

    def _named(self) -> str | None:
        address: tuple[str, int] | None = self._pool.master_address
        return address[0] if address else None

    async def refresh(self) -> None:
        """Drops idle connections to a primary that is none any more."""
        await self._pool.get_master_address()

    async def close(self) -> None:
        await self.client.aclose()
        await self._pool.disconnect()
        for sentinel in self._sentinel.sentinels:
            await sentinel.aclose()
            await sentinel.connection_pool.disconnect()


class _Node:
    """One primary of a cluster."""

    def __init__(self, node: ClusterNode, tls: bool) -> None:
        self.name = str(node.name)
        self.node = node
        self.private = tls or is_loopback(node.host)

    async def exchange(self, packed: Sequence[bytes]) -> list[Any]:
        try:
            connection = self.node.acquire_connection()
        except FAILURES as error:
            return [error] * len(packed)
        try:
            await self.node.disconnect_if_needed(connection)
            return await converse(connection, packed)
        finally:
            self.node.release(connection)


class Cluster:
    """Primaries that share the slots. The client keeps their map; this keeps it from retrying on its own."""

    only = None

    def __init__(self, address: RedisAddress, target: Target) -> None:
        options = connection_options(address, target)
        self._seeds = list(target.hosts)
        self._tls = target.tls
        self.client: Any = RedisCluster(
            startup_nodes=[ClusterNode(host, port) for host, port in target.hosts],
            ssl=target.tls,
            require_full_coverage=False,
            reinitialize_steps=0,
            max_connections=MAX_CONNECTIONS,
            **options,
        )
        self._map: Any = self.client.nodes_manager
        if target.tls:
            self._map.connection_kwargs["connection_class"] = FreshTls
            for node in self._map.startup_nodes.values():
                node.connection_class = FreshTls
        self._servers: dict[str, _Node] = {}

    async def ready(self) -> None:
        await self.client.initialize()

    def server_of(self, key: str) -> Server:
        return self._server(self._map.get_node_from_slot(self.client.keyslot(key)))

    def primaries(self) -> Sequence[Server]:
        return [self._server(node) for node in self._owners()]

    async def refresh(self) -> None:
        """Without closing anything: what is under way at healthy servers goes on."""
        await self._map.initialize(additional_startup_nodes_info=self._seeds)

    async def moved(self, error: MovedError) -> None:
        await self._map.move_slot(error)

    async def close(self) -> None:
        await self.client.aclose()
        # The client closes nothing when it was about to look for its servers.
        await self._map.aclose()
        await self._map.aclose("startup_nodes")

    def _owners(self) -> list[ClusterNode]:
        """Primaries with slots, each once; an empty one has nothing of ours."""
        slots: Mapping[int, list[ClusterNode]] = self._map.slots_cache
        return list({nodes[0].name: nodes[0] for nodes in slots.values()}.values())

    def _server(self, node: ClusterNode) -> _Node:
        known = self._servers.get(node.name)
        if known is None or known.node is not node:
            known = self._servers[node.name] = _Node(node, self._tls)
        return known


def topology_of(address: RedisAddress) -> Topology:
    """The topology of an address. ConfigError if it isn't one of ours."""
    target = address.target()
    kinds: dict[Kind, Callable[[RedisAddress, Target], Topology]]
    kinds = {Kind.SINGLE: Single, Kind.SENTINEL: Sentinels, Kind.CLUSTER: Cluster}
    return kinds[target.kind](address, target)


def connection_options(address: RedisAddress, target: Target) -> Options:
    """What every connection is told. No retries: whether to try again is for callers to decide."""
    options: Options = {
        "username": target.username,
        "password": target.password,
        "socket_timeout": TIMEOUT,
        "socket_connect_timeout": TIMEOUT,
        "retry": Retry(NoBackoff(), 0),
        "protocol": 2,
        # Redis 7.0 has no CLIENT SETINFO, and its ACL no name for it.
        "driver_info": None,
        "maint_notifications_config": MaintNotificationsConfig(enabled=False),
    }
    if target.tls:
        files = {"ssl_ca_certs": address.ca, "ssl_certfile": address.cert, "ssl_keyfile": address.key}
        options |= {name: str(path) for name, path in files.items() if path is not None}
        options |= {"ssl_cert_reqs": "required", "ssl_check_hostname": True}
    return options


def _pool(target: Target, options: Options, host: Host, most: int) -> ConnectionPool:
    kind = FreshTls if target.tls else PLAIN
    return ConnectionPool(connection_class=kind, host=host.host, port=host.port, max_connections=most, **options)


class Replicas:
    """Connections to servers that purge only looks at."""

    def __init__(self, address: RedisAddress) -> None:
        self._target = address.target()
        self._options = connection_options(address, self._target)
        self._pools: dict[Host, ConnectionPool] = {}

    def exchange(self, host: Host) -> Callable[[Sequence[bytes]], Coroutine[Any, Any, list[Any]]]:
        """One reply for each command; an exception where there is none."""
        pool = self._pools.get(host)
        if pool is None:
            pool = self._pools[host] = _pool(self._target, self._options, host, 1)
        return _Pooled(pool, self._target.tls, lambda: host.host).exchange

    async def close(self) -> None:
        for pool in self._pools.values():
            await pool.disconnect()


def _pool_to(address: RedisAddress, target: Target) -> ConnectionPool:
    options = connection_options(address, target) | {"db": target.db}
    if not target.socket:
        return _pool(target, options, target.hosts[0], MAX_CONNECTIONS)
    return ConnectionPool(
        connection_class=UnixDomainSocketConnection, path=target.socket, max_connections=MAX_CONNECTIONS, **options
    )
