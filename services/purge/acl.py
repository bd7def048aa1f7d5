"""The Redis that Mayfly wants: its settings, and its one user with nothing but the commands that purge runs.

Whoever starts a server for Mayfly (the launcher, the tests, a deployment) takes both from here.
"""

from __future__ import annotations

# Nothing on disk, not on the way to a replica either; nothing evicted before its time, and memory that ends;
# the command log keeps no arguments (it would keep ciphertext).
# A rule that is no valid setting of the server in use is refused by it at the start.
SETTINGS: dict[str, str] = {
    "save": "",
    "appendonly": "no",
    "maxmemory-policy": "noeviction",
    "hz": "100",
    "maxmemory": "256mb",
    "repl-diskless-sync": "yes",
    "repl-diskless-load": "swapdb",
    # DUMP, with which the auditor reads every key, would compress small values in a buffer that the server keeps.
    "rdbcompression": "no",
}
VALKEY_SETTINGS: dict[str, str] = {
    "commandlog-execution-slower-than": "-1",
    "commandlog-request-larger-than": "-1",
    "commandlog-reply-larger-than": "-1",
}
"""Beyond ``SETTINGS``, for Valkey 8.1 and later."""
REDIS_SETTINGS: dict[str, str] = {"slowlog-log-slower-than": "-1"}
"""Beyond ``SETTINGS``, for Redis, and for Valkey before that."""

_KEYS = (
    "lease:{*", "parked:{*", "due:{*", "receipt:{*", "marker:{*", "owner:*", "quota:*", "pseudonym-key:*",
    "replica:*", "leader:{*", "term:{*",
)  # fmt: skip
_COMMANDS = {
    "connection": ("ping", "hello", "select"),
    "the library": ("fcall", "function|list", "function|load"),
    "inside its functions": (
        "exists", "hdel", "hget", "hmget", "hset", "incr", "llen", "pexpire", "rpush",
        "zadd", "zrem", "zremrangebyscore",
    ),
    "leases": ("hgetall", "lindex", "zrange", "zrangebyscore", "del", "get", "set", "pttl"),
    "a cluster": ("cluster|slots", "command", "asking"),
    "attestation": ("info", "config|get", "scan", "acl|whoami", "acl|dryrun"),
}  # fmt: skip


_AUDITORS_COMMANDS = ("ping", "hello", "select", "scan", "dump", "pttl", "cluster|slots", "command", "asking")
AUDITOR = "auditor"
"""The user who may read every key, so that it can be searched for what must not be there, and change none."""


def acl_rules(username: str, password_sha256: str, auditor_sha256: str = "") -> str:
    """An ACL file: the default user is off, and ``username`` may do what purge does.

    password_sha256: 64 lowercase hex digits, so that no password stands in the file. auditor_sha256: the same of
    ``AUDITOR``; without it there is no such user.
    """
    patterns = " ".join(f"~{pattern}" for pattern in _KEYS)
    commands = " ".join(f"+{command}" for group in _COMMANDS.values() for command in group)
    rules = f"user default off\nuser {username} on #{password_sha256} {patterns} resetchannels -@all {commands}\n"
    if auditor_sha256:
        reads = " ".join(f"+{command}" for command in _AUDITORS_COMMANDS)
        rules += f"user {AUDITOR} on #{auditor_sha256} %R~* resetchannels -@all {reads}\n"
    return rules


def arguments(valkey: bool) -> list[str]:
    """``SETTINGS`` as the server's command line."""
    settings = SETTINGS | (VALKEY_SETTINGS if valkey else REDIS_SETTINGS)
    return [word for name, value in settings.items() for word in (f"--{name}", value)]
