"""The connection to Redis: the only module that imports the client.

An await on a shared connection is never cancelled: the next caller would read the reply that was meant for this one
(redis-py#2624). Each operation runs in a task of its own, to its own end, whoever stops waiting for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import NoPermissionError, RedisError, ResponseError
from redis.maint_notifications import MaintNotificationsConfig

from mesh.errors import ConfigError, Unavailable
from services.purge import functions

# The client's own types say "bytes or str" throughout; here it is always bytes.
Operation = Callable[[Any], Awaitable[Any]]
Call = tuple[str, Sequence[str], Sequence[str | int | bytes]]
"""A function's name, its keys, its arguments."""
BARRED = (NoPermissionError, ResponseError)
"""What a command raises that this server, or its ACL, doesn't allow."""
TIMEOUT = 1.0  # seconds to connect, to be answered, and to get a connection
MAX_CONNECTIONS = 32
_SCHEMES = ("unix://", "redis://", "rediss://")


@dataclass(frozen=True, slots=True)
class RedisAddress:
    """url: unix:///path?db=0&username=u&password=p, redis://… or rediss://…; the files are for rediss only.

    password: overrides the URL's, so that it can come from a file instead of the environment.
    """

    url: str
    username: str | None = None
    password: str | None = None
    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None

    def options(self) -> dict[str, Any]:
        """What the client is told beyond the URL. Raises ConfigError for a scheme that isn't ours."""
        if not self.url.startswith(_SCHEMES):
            raise ConfigError("MAYFLY_REDIS_URL: must begin with unix://, redis:// or rediss://")
        options: dict[str, Any] = {}
        if self.username is not None:
            options["username"] = self.username
        if self.password is not None:
            options["password"] = self.password
        if self.url.startswith("rediss://"):
            files = {"ssl_ca_certs": self.ca, "ssl_certfile": self.cert, "ssl_keyfile": self.key}
            options |= {name: str(path) for name, path in files.items() if path is not None}
            options |= {"ssl_cert_reqs": "required", "ssl_check_hostname": True}
        return options


class Link:
    """A bounded pool of connections, without retries: whether to try again is for callers to decide."""

    def __init__(self, address: RedisAddress) -> None:
        try:
            pool: BlockingConnectionPool = BlockingConnectionPool.from_url(
                address.url,
                max_connections=MAX_CONNECTIONS,
                timeout=TIMEOUT,
                socket_timeout=TIMEOUT,
                socket_connect_timeout=TIMEOUT,
                retry=Retry(NoBackoff(), 0),
                protocol=2,
                # Redis 7.0 has no CLIENT SETINFO, and its ACL no name for it.
                driver_info=None,
                maint_notifications_config=MaintNotificationsConfig(enabled=False),
                **address.options(),
            )
        except ValueError as error:
            raise ConfigError(f"MAYFLY_REDIS_URL: {error}") from None
        self._redis = Redis.from_pool(pool)
        self._running: set[asyncio.Task[Any]] = set()
        self.up = False
        """Whether the last operation was answered."""

    async def run(self, operation: Operation) -> Any:
        """The operation's reply. Raises Unavailable when there is none, or when the registry refuses."""
        task = asyncio.ensure_future(self._guarded(operation))
        self._running.add(task)
        task.add_done_callback(self._done)
        return await asyncio.shield(task)

    async def call(self, function: str, keys: Sequence[str], args: Sequence[str | int | bytes]) -> Any:
        """One function of the library."""
        name = f"{functions.LIBRARY}_{function}"
        return await self._with_library(lambda redis: redis.fcall(name, len(keys), *keys, *args))

    async def call_all(self, calls: Sequence[Call]) -> list[Any]:
        """Many functions in one round trip, in their order; not atomic together."""

        async def operation(redis: Any) -> list[Any]:
            async with redis.pipeline(transaction=False) as pipe:
                for function, keys, args in calls:
                    pipe.fcall(f"{functions.LIBRARY}_{function}", len(keys), *keys, *args)
                return list(await pipe.execute())

        replies: list[Any] = await self._with_library(operation)
        return replies

    async def load_library(self) -> None:
        """Makes the server's library ours, unless it is already."""

        async def operation(redis: Any) -> None:
            listed: Any = await redis.function_list(library=functions.LIBRARY, withcode=True)
            if functions.source().encode() not in _flat(listed):
                await redis.function_load(functions.source(), replace=True)

        await self.run(operation)

    async def close(self) -> None:
        """Waits for what runs, then closes all connections."""
        if self._running:
            await asyncio.wait(set(self._running), timeout=2 * TIMEOUT)
        await self._redis.aclose()
        await self._redis.connection_pool.disconnect()

    async def _with_library(self, operation: Operation) -> Any:
        """A server that was restarted has forgotten its functions: load them, then call again, once."""

        async def guarded(redis: Any) -> Any:
            try:
                return await operation(redis)
            except ResponseError as error:
                if "function not found" not in str(error).lower():
                    raise
                await redis.function_load(functions.source(), replace=True)
                return await operation(redis)

        return await self.run(guarded)

    async def _guarded(self, operation: Operation) -> Any:
        try:
            reply = await operation(self._redis)
        except NoPermissionError as error:
            raise _away("The registry's Redis forbids a command; give purge's user its ACL.") from error
        except (TimeoutError, RedisError, OSError) as error:
            self.up = False
            raise _away("The registry's Redis is away; try again.") from error
        self.up = True
        return reply

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if not task.cancelled():
            task.exception()  # seen here, for the case that nobody waits any more


def _away(message: str) -> Unavailable:
    return Unavailable("REGISTRY_UNAVAILABLE", message, retry_after=1)


def _flat(value: Any) -> list[Any]:
    return [leaf for item in value for leaf in _flat(item)] if isinstance(value, list) else [value]
