"""One look at one server: what it says of itself, and the marker that says that it is still the same."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any

from redis.exceptions import NoPermissionError, ResponseError

from services.purge import facts, keys
from services.purge.facts import Seen
from services.purge.link import Ask
from services.purge.refusal import is_answer, refusal
from services.purge.wire import pack

MARKER_TTL = 60  # seconds
_INFO = pack("INFO", "server", "memory", "persistence", "replication", "keyspace")
_CONFIG = pack("CONFIG", "GET", *facts.CONFIG)
_DANGEROUS = (
    ("CONFIG", "SET", "save", "1 1"), ("DEBUG", "SLEEP", "0"), ("SAVE",), ("BGSAVE",), ("BGREWRITEAOF",), ("KEYS", "*"),
    ("FLUSHALL",), ("FLUSHDB",), ("MONITOR",), ("REPLICAOF", "NO", "ONE"), ("SHUTDOWN",), ("ACL", "SETUSER", "x"),
    ("EVAL", "return 1", "0"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Primary:
    """mark: another one after a flush, an empty restart or a failover."""

    seen: Seen
    mark: bytes


async def at_primary(ask: Ask, shard: int | None) -> Primary:
    """shard: one whose marker this server has; None if it has none. Raises Unavailable."""
    marker = _marker(keys.marker(shard)) if shard is not None else []
    replies = await ask([_INFO, _CONFIG, pack("ACL", "WHOAMI"), *marker])
    # A replica refuses the marker; that it is one is what INFO says.
    (info, config, user), marked = _answers(replies[:3]), replies[3:]
    name = None if isinstance(user, Exception) else user.decode()
    seen = Seen(_parsed(info), _paired(config), name, await _permitted(ask, name))
    value = marked[-1] if marked and isinstance(marked[-1], bytes) else b""
    return Primary(seen, b"|".join((value, seen.run_id.encode(), seen.history.encode())))


async def at_replica(ask: Ask) -> Seen:
    """Raises Unavailable."""
    info, config = _answers(await ask([_INFO, _CONFIG]))
    return Seen(_parsed(info), _paired(config))


def _marker(name: str) -> list[bytes]:
    """Set once, kept alive, read. Without room for it (OOM) what is there is read all the same."""
    milliseconds = MARKER_TTL * 1000
    return [
        pack("SET", name, secrets.token_hex(16), "NX", "PX", milliseconds),
        pack("PEXPIRE", name, milliseconds),
        pack("GET", name),
    ]


async def _permitted(ask: Ask, user: str | None) -> tuple[str, ...] | None:
    if user is None:
        return None
    replies = _answers(await ask([pack("ACL", "DRYRUN", user, *words) for words in _DANGEROUS]))
    if all(isinstance(reply, NoPermissionError) for reply in replies):
        return None
    allowed = [words for words, reply in zip(_DANGEROUS, replies, strict=True) if reply == b"OK"]
    return tuple(" ".join(words[:2]) if words[0] in ("CONFIG", "ACL") else words[0] for words in allowed)


def _answers(replies: list[Any]) -> list[Any]:
    """What was answered, refusals included. Raises Unavailable for anything else."""
    for reply in replies:
        if isinstance(reply, Exception) and not is_answer(reply):
            raise refusal(reply)
    return replies


def _parsed(info: Any) -> dict[str, str]:
    if isinstance(info, ResponseError):
        raise refusal(info)
    lines = (line.partition(":") for line in info.decode("utf-8", "replace").splitlines())
    return {name: value for name, colon, value in lines if colon}


def _paired(config: Any) -> dict[str, str] | None:
    if isinstance(config, ResponseError):
        return None
    words = [word.decode("utf-8", "replace") for word in config]
    return dict(zip(words[::2], words[1::2], strict=True))
