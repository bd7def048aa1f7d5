"""What the registry's Redis says of itself, judged: each broken rule, in a sentence that names the setting."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

# The rules that a server can break; the label of mayfly_registry_violation.
SETTINGS = (
    "save", "appendonly", "snapshot", "replica_disk", "maxmemory_policy", "maxmemory", "transport", "acl", "role",
    "keys_without_ttl", "long_ttl", "unknown_keys", "parked_plaintext", "changed",
)  # fmt: skip
FACTS = (*SETTINGS, "unattested")
# What a server may not show; the label of mayfly_registry_unseen.
UNSEEN = (
    "save", "appendonly", "maxmemory_policy", "maxmemory", "last_save", "replication", "replicas", "acl",
    "parked_values",
)  # fmt: skip
CONFIG = (
    "save", "appendonly", "maxmemory-policy", "maxmemory", "repl-diskless-sync", "repl-diskless-load",
    "tls-replication",
)  # fmt: skip
Info = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Replica:
    """One line ``slaveN`` of a primary's INFO."""

    host: str
    port: int
    state: str


@dataclass(frozen=True, slots=True)
class Seen:
    """One look at one server. config: None where CONFIG is barred. permitted: the dangerous commands that purge's user
    may run; None where ACL DRYRUN is barred."""

    info: Info
    config: Mapping[str, str] | None = None
    user: str | None = None
    permitted: tuple[str, ...] | None = None

    @property
    def saves(self) -> tuple[int, int]:
        """Changes with each snapshot: when the last one was written, how many there were."""
        return _number(self.info.get("rdb_last_save_time")), _number(self.info.get("rdb_saves"))

    @property
    def run_id(self) -> str:
        """Another one after each start of the server."""
        return self.info.get("run_id", "")

    @property
    def history(self) -> str:
        """Another one when a replica has become the primary."""
        return self.info.get("master_replid", "")

    @property
    def keys(self) -> tuple[int, int]:
        """How many there are, and how many of them have a TTL; over all databases."""
        spaces = [_fields(value) for name, value in self.info.items() if name.startswith("db") and name[2:].isdecimal()]
        return sum(_number(s.get("keys")) for s in spaces), sum(_number(s.get("expires")) for s in spaces)

    def replicas(self) -> list[Replica]:
        """Those that are connected."""
        lines = [_fields(v) for name, v in self.info.items() if name.startswith("slave") and name[5:].isdecimal()]
        return [Replica(line["ip"], int(line["port"]), line["state"]) for line in lines]

    def setting(self, name: str, shown: str = "") -> str | None:
        """CONFIG's value, else INFO's ``shown``, else None."""
        if self.config is not None and name in self.config:
            return self.config[name]
        return self.info.get(shown) if shown else None


@dataclass(slots=True)
class Findings:
    """Fact → sentence, and what could not be seen."""

    violations: dict[str, str] = field(default_factory=dict)
    unseen: set[str] = field(default_factory=set)


def judge_primary(seen: Seen) -> Findings:
    """Every rule for the server that purge writes to."""
    found = Findings(dict(_persistence(seen)), set(_unseen(seen)))
    found.violations |= dict(_memory(seen)) | dict(_user(seen)) | dict(_replication(seen))
    keys, with_ttl = seen.keys
    if keys != with_ttl:
        count = keys - with_ttl
        found.violations["keys_without_ttl"] = (
            f"{count} keys have no TTL: INFO 'keyspace' says so; find who writes them"
        )
    return found


def judge_replica(seen: Seen, loopback: bool) -> Findings:
    """What a replica may do with what it is sent. loopback: whether it is on the primary's machine."""
    found = Findings()
    for sentence in dict(_persistence(seen)).values():
        found.violations["replica_disk"] = f"a replica keeps what it gets: {sentence}"
    if seen.setting("repl-diskless-load") == "disabled":
        found.violations["replica_disk"] = (
            "a replica writes what it gets to its disk first: CONFIG 'repl-diskless-load' is 'disabled'; "
            "set it to 'swapdb' or 'on-empty-db'"
        )
    if not loopback and seen.setting("tls-replication") == "no":
        found.violations["transport"] = "a replica's link is not encrypted: set 'tls-replication' to 'yes'"
    if seen.config is None:
        found.unseen.add("replicas")
    return found


def _persistence(seen: Seen) -> Iterator[tuple[str, str]]:
    save, append = seen.setting("save"), seen.setting("appendonly") or "no"
    if save:
        yield "save", f"persistence is on: CONFIG 'save' is '{save}'; set it to ''"
    if append != "no":
        yield "appendonly", f"persistence is on: CONFIG 'appendonly' is '{append}'; set it to 'no'"
    elif _number(seen.info.get("aof_enabled")) or _number(seen.info.get("aof_rewrite_in_progress")):
        yield "appendonly", "persistence is on: INFO 'aof_enabled' is 1; set 'appendonly' to 'no'"
    # A snapshot that goes straight to a replica's socket is in progress as one to the disk would be.
    to_socket = seen.setting("repl-diskless-sync") != "no" and any(r.state != "online" for r in seen.replicas())
    if _number(seen.info.get("rdb_bgsave_in_progress")) and not to_socket:
        yield "snapshot", "a snapshot is being written: INFO 'rdb_bgsave_in_progress' is 1; find out who asked for it"


def _memory(seen: Seen) -> Iterator[tuple[str, str]]:
    policy = seen.setting("maxmemory-policy", "maxmemory_policy") or "noeviction"
    if policy != "noeviction":
        yield "maxmemory_policy", f"leases could be evicted: 'maxmemory-policy' is '{policy}'; set it to 'noeviction'"
    if seen.setting("maxmemory", "maxmemory") == "0":
        yield "maxmemory", "memory has no limit: 'maxmemory' is 0; set it to less than the machine has"


def _user(seen: Seen) -> Iterator[tuple[str, str]]:
    if seen.user == "default":
        yield "acl", "purge is the default user; give it one of its own, with the rules of services/purge/acl.py"
    elif seen.permitted:
        yield "acl", f"purge's user may run {', '.join(seen.permitted)}; give it the rules of services/purge/acl.py"


def _replication(seen: Seen) -> Iterator[tuple[str, str]]:
    if seen.info.get("role", "master") != "master":
        yield "role", "this server is a replica: INFO 'role' says so; purge must write to the primary"
    if seen.setting("repl-diskless-sync") == "no":
        yield "replica_disk", "a snapshot is written for each new replica: set 'repl-diskless-sync' to 'yes'"


def _unseen(seen: Seen) -> Iterator[str]:
    if seen.setting("save") is None:
        yield "save"
    for fact, name, shown in (
        ("appendonly", "appendonly", "aof_enabled"),
        ("maxmemory_policy", "maxmemory-policy", "maxmemory_policy"),
        ("maxmemory", "maxmemory", "maxmemory"),
        ("last_save", "", "rdb_last_save_time"),
    ):
        if seen.setting(name, shown) is None:
            yield fact
    if seen.setting("repl-diskless-sync") is None:
        yield "replication"
    if seen.user is None or seen.permitted is None:
        yield "acl"


def _fields(value: str) -> dict[str, str]:
    """``a=1,b=2``, as INFO has it."""
    return dict(part.partition("=")[::2] for part in value.split(","))


def _number(value: object) -> int:
    try:
        return int(str(value))
    except ValueError:
        return 0
