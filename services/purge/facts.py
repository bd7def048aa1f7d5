"""What the registry's Redis says of itself, judged: each broken rule, in a sentence that names the setting."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

# The rules that a server can break; the label of mayfly_registry_violation.
SETTINGS = ("save", "appendonly", "snapshot", "maxmemory_policy", "keys_without_ttl", "unknown_keys")
FACTS = (*SETTINGS, "unattested")
Info = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Server:
    """One look at the server. config: None where CONFIG is barred. Times are the server's, Unix seconds."""

    config: Mapping[str, str] | None
    info: Info
    keys: int
    keys_with_ttl: int

    @property
    def saves(self) -> tuple[int, int]:
        """Changes with each snapshot: when the last one was written, how many there were."""
        return _number(self.info.get("rdb_last_save_time")), _number(self.info.get("rdb_saves"))

    @property
    def run_id(self) -> str:
        """Another one after each start of the server."""
        return str(self.info.get("run_id", ""))


def violations(server: Server) -> dict[str, str]:
    """Fact → sentence, for each rule that the server's settings and counts break."""
    found: dict[str, str] = {}
    config = server.config if server.config is not None else {}
    if config.get("save", "") != "":
        found["save"] = f"persistence is on: CONFIG 'save' is '{config['save']}'; set it to ''"
    if config.get("appendonly", "no") != "no":
        found["appendonly"] = f"persistence is on: CONFIG 'appendonly' is '{config['appendonly']}'; set it to 'no'"
    elif _number(server.info.get("aof_enabled")) or _number(server.info.get("aof_rewrite_in_progress")):
        found["appendonly"] = "persistence is on: INFO 'aof_enabled' is 1; set 'appendonly' to 'no'"
    if _number(server.info.get("rdb_bgsave_in_progress")):
        found["snapshot"] = "a snapshot is being written: INFO 'rdb_bgsave_in_progress' is 1; find out who asked for it"
    policy = config.get("maxmemory-policy", str(server.info.get("maxmemory_policy", "noeviction")))
    if policy != "noeviction":
        found["maxmemory_policy"] = f"leases could be evicted: 'maxmemory-policy' is '{policy}'; set it to 'noeviction'"
    if server.keys != server.keys_with_ttl:
        count = server.keys - server.keys_with_ttl
        found["keys_without_ttl"] = f"{count} keys have no TTL: INFO 'keyspace' says so; find who writes them"
    return found


def unseen(server: Server) -> tuple[str, ...]:
    """What this server does not let purge see."""
    missing = [name for name in ("rdb_last_save_time", "aof_enabled") if name not in server.info]
    if server.config is None:
        missing += ["save", "appendonly"]
    return tuple(missing)


def _number(value: object) -> int:
    try:
        return int(str(value))
    except ValueError:
        return 0
