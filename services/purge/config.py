"""What purge is told by its environment."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from mesh.config import ExistingFile, MeshSettings
from mesh.errors import ConfigError
from services.purge.grants import Terms
from services.purge.link import RedisAddress

MIB = 1 << 20


class PurgeSettings(MeshSettings):
    """The mesh's settings, the registry's Redis, the log, and the terms of leases."""

    redis_url: str
    """``unix:///path?db=0``, ``redis://host:port/0`` or ``rediss://host:port/0``; Redis ≥ 7 or Valkey ≥ 8."""
    redis_username: str | None = None
    """The ACL user, if the URL names none."""
    redis_password_file: ExistingFile | None = None
    """Its password, in a file of one line."""
    redis_tls_ca: ExistingFile | None = None
    """For ``rediss``: the CA of the server's certificate, PEM. Default: the system's."""
    redis_tls_cert: ExistingFile | None = None
    """For ``rediss``: this client's certificate, PEM."""
    redis_tls_key: ExistingFile | None = None

    purge_log_dir: Path
    """The receipt log; of this replica alone."""
    purge_log_origin: Annotated[str, Field(pattern=r"^[a-zA-Z0-9._/-]{1,128}$")] = "mayfly.local/log"
    """The log's identity in its checkpoints; another log needs another."""
    purge_log_interval: Annotated[float, Field(gt=0, le=10)] = 0.5
    """Seconds between two checkpoints under load."""
    purge_key_dir: Path
    """``receipts.key.pem`` and ``log.key.pem``."""
    purge_key_create: bool = True
    """Whether keys that are missing are made. Off where they are provisioned: a lost key should be noticed."""

    purge_lease_default: Annotated[float, Field(ge=1, le=600)] = 120.0
    """Seconds of a lease whose TTL nobody asked for."""
    purge_lease_ceiling: Annotated[float, Field(ge=1, le=600)] = 300.0
    """Seconds of the longest lease."""
    purge_daily_quota: Annotated[int, Field(ge=1)] = 1000
    """Leases of one owner in one day, UTC."""
    purge_parked_limit: Annotated[int, Field(ge=1, le=512 * MIB)] = 16 * MIB
    """Bytes of one parked picture's ciphertext."""

    def redis(self) -> RedisAddress:
        """ConfigError if the password's file can't be read."""
        password = None
        if self.redis_password_file is not None:
            try:
                password = self.redis_password_file.read_text("utf-8").strip()
            except (OSError, UnicodeDecodeError):
                raise ConfigError("MAYFLY_REDIS_PASSWORD_FILE: can't be read") from None
        return RedisAddress(
            self.redis_url,
            username=self.redis_username,
            password=password,
            ca=self.redis_tls_ca,
            cert=self.redis_tls_cert,
            key=self.redis_tls_key,
        )

    def terms(self) -> Terms:
        usual = min(self.purge_lease_default, self.purge_lease_ceiling)
        return Terms(usual=usual, ceiling=self.purge_lease_ceiling, daily_quota=self.purge_daily_quota)
