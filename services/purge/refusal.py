"""What a failed command means to whoever asked for it: one typed error for each kind of failure."""

from __future__ import annotations

from redis.exceptions import (
    BusyLoadingError,
    ClusterDownError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisClusterException,
    RedisError,
    ResponseError,
)

from mesh.errors import Unavailable

FAILURES = (RedisError, RedisClusterException, OSError, TimeoutError)
"""What the client raises; its cluster has a family of its own."""
_NOT_NOW = (BusyLoadingError, ClusterDownError, ReadOnlyError)


def refusal(error: Exception) -> Unavailable:
    """The error for callers; ``error`` itself if it is one already."""
    if isinstance(error, Unavailable):
        return error
    if isinstance(error, NoPermissionError):
        return _away("The registry's Redis forbids a command; give purge's user its ACL.")
    if isinstance(error, OutOfMemoryError) or (isinstance(error, ResponseError) and "OOM " in str(error)):
        return Unavailable("REGISTRY_FULL", "The registry's memory is full; try again.", retry_after=1)
    return _away("The registry's Redis is away; try again.")


def is_answer(error: Exception) -> bool:
    """Whether the server is there and has only refused this command."""
    return isinstance(error, ResponseError) and not isinstance(error, _NOT_NOW)


def _away(message: str) -> Unavailable:
    return Unavailable("REGISTRY_UNAVAILABLE", message, retry_after=1)
