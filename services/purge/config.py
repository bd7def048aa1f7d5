"""What purge is told by its environment."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_settings import NoDecode

from mesh.config import ExistingFile, MeshSettings
from mesh.errors import ConfigError
from mesh.lockdown.needs import Needs
from services.purge.address import RedisAddress
from services.purge.evidence.prometheus import check_url
from services.purge.grants import Terms
from services.purge.needs import beyond
from services.purge.shards import Shard
from services.purge.shards import load as load_shards

MIB = 1 << 20
Port = Annotated[int, Field(ge=1, le=65535)]


def _split(value: object) -> object:
    return tuple(part for part in value.split(",") if part.strip()) if isinstance(value, str) else value


def _url(value: str) -> str:
    return check_url(value) if value else ""


class PurgeSettings(MeshSettings):
    """The mesh's settings, the registry's Redis, the log, and the terms of leases."""

    redis_url: str
    """``unix:///path?db=0``, ``redis://host:port/0``, ``redis+sentinel://host:port,host:port/master-name?db=0`` or
    ``redis+cluster://host:port,host:port``; with ``rediss`` over TLS. Redis ≥ 7 or Valkey ≥ 8."""
    redis_username: str | None = None
    """The ACL user, if the URL names none."""
    redis_password_file: ExistingFile | None = None
    """Its password, in a file of one line."""
    redis_tls_ca: ExistingFile | None = None
    """For ``rediss``: the CA of the server's certificate, PEM. Default: the system's."""
    redis_tls_cert: ExistingFile | None = None
    """For ``rediss``: this client's certificate, PEM."""
    redis_tls_key: ExistingFile | None = None
    redis_sentinel_username: str | None = None
    """For ``redis+sentinel``: the sentinels' own user, if they have one."""
    redis_sentinel_password_file: ExistingFile | None = None
    """For ``redis+sentinel``: what the sentinels themselves ask for, in a file of one line."""

    redis_ports: Annotated[tuple[Port, ...], NoDecode, BeforeValidator(_split)] = ()
    """For ``redis+sentinel`` and ``redis+cluster``: ports of servers that they may name, comma-separated, besides 6379
    and those in the URL. The lockdown lets purge connect to no others."""

    purge_log_dir: Path
    """The receipt log; of this replica alone."""
    purge_log_origin: Annotated[str, Field(pattern=r"^[a-zA-Z0-9._/-]{1,128}$")] = "mayfly.local/log"
    """The log's identity in its checkpoints; another log needs another."""
    purge_log_interval: Annotated[float, Field(gt=0, le=10)] = 0.5
    """Seconds between two checkpoints under load."""
    purge_key_dir: Path
    """``receipts.key.pem`` and ``log.key.pem``; or ``.key.pub`` for a key that an agent keeps."""
    purge_key_agent: Path | None = None
    """The unix socket of an SSH agent that keeps the keys of ``*.key.pub``."""
    purge_key_create: bool = True
    """Whether keys that are missing are made. Off where they are provisioned: a lost key should be noticed."""

    purge_witnesses: ExistingFile | None = None
    """Witnesses that cosign the log, one on each line: vkey and URL."""
    purge_shards_file: ExistingFile | None = None
    """The other replicas' logs: a JSON list of {"origin", "vkey", "url"}. Needed where purge has more than one."""

    purge_prometheus_url: Annotated[str, AfterValidator(_url)] = ""
    """The Prometheus whose alerts /evidence shows, ``http://HOST:PORT``. Without it: what purge sees alone."""

    purge_lease_default: Annotated[float, Field(ge=1, le=600)] = 120.0
    """Seconds of a lease whose TTL nobody asked for."""
    purge_lease_ceiling: Annotated[float, Field(ge=1, le=600)] = 300.0
    """Seconds of the longest lease."""
    purge_daily_quota: Annotated[int, Field(ge=1)] = 1000
    """Leases of one owner in one day, UTC."""
    purge_parked_limit: Annotated[int, Field(ge=1, le=512 * MIB)] = 16 * MIB
    """Bytes of one parked picture's ciphertext."""

    def needs(self) -> Needs:
        return beyond(super().needs(), self)

    def redis(self) -> RedisAddress:
        """ConfigError if the URL is none, or a password's file can't be read."""
        address = RedisAddress(
            self.redis_url,
            username=self.redis_username,
            password=_secret(self.redis_password_file, "MAYFLY_REDIS_PASSWORD_FILE"),
            ca=self.redis_tls_ca,
            cert=self.redis_tls_cert,
            key=self.redis_tls_key,
            sentinel_username=self.redis_sentinel_username,
            sentinel_password=_secret(self.redis_sentinel_password_file, "MAYFLY_REDIS_SENTINEL_PASSWORD_FILE"),
        )
        address.target()
        return address

    def shards(self) -> tuple[Shard, ...]:
        """ConfigError if the file says anything else, or names this replica's own log."""
        if self.purge_shards_file is None:
            return ()
        shards = load_shards(self.purge_shards_file)
        if any(shard.origin == self.purge_log_origin for shard in shards):
            raise ConfigError("MAYFLY_PURGE_SHARDS_FILE: names this replica's own log")
        return shards

    def terms(self) -> Terms:
        usual = min(self.purge_lease_default, self.purge_lease_ceiling)
        return Terms(usual=usual, ceiling=self.purge_lease_ceiling, daily_quota=self.purge_daily_quota)


def _secret(path: Path | None, variable: str) -> str | None:
    if path is None:
        return None
    try:
        return path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError):
        raise ConfigError(f"{variable}: can't be read") from None
