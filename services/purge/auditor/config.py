"""What the auditor is told by its environment."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator
from pydantic_settings import NoDecode

from mesh.config import Address, Addresses, ExistingFile, MeshSettings
from mesh.errors import ConfigError
from mesh.ops_ports import names_port
from services.purge.address import RedisAddress
from services.purge.audit import UNREACHABLE
from services.purge.auditor.canary import canary


def _split(value: object) -> object:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


def _pairs(value: object) -> object:
    parts = _split(value)
    if not isinstance(parts, tuple) or not all("=" in str(part) for part in parts):
        raise ValueError("must be NAME=VALUE, comma-separated")
    return parts


def _kinds(value: object) -> object:
    parts = _split(value)
    if isinstance(parts, tuple) and (unknown := [part for part in parts if part not in canary.kinds()]):
        raise ValueError(f"no canary of the kind {unknown[0]} can be made here")
    return parts


def _unreachable(value: object) -> object:
    parts = _split(value)
    if isinstance(parts, tuple) and (unknown := [part for part in parts if part not in UNREACHABLE]):
        raise ValueError(f"{unknown[0]} must be searched; only {' and '.join(sorted(UNREACHABLE))} may be out of reach")
    return parts


Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split), Field(min_length=1)]
Pairs = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_pairs)]
"""NAME=VALUE, comma-separated; a name may come more than once."""


class AuditorSettings(MeshSettings):
    """The mesh's settings, how canaries are sent, and where remains of them are looked for."""

    holds_photos: ClassVar[bool] = False

    listen: Address = "127.0.0.1:0"
    """Not used: the auditor serves no gRPC."""
    registry_target: Addresses
    """Purge's address; of each replica, comma-separated, where it has several."""

    auditor_gateway_target: Address
    """Where apps reach the gateway."""
    auditor_gateway_ca: ExistingFile | None = None
    """The CA of the gateway's public certificate, PEM. Default: the system's."""
    auditor_gateway_name: str | None = None
    """The name that this certificate must be for, if it isn't the target's host."""
    auditor_token_file: ExistingFile
    """Tokens of users of the auditor's own, as whom canaries are sent, one a line; read anew for each canary."""
    auditor_key_dir: Path
    """``audit.key.pem``, which signs audit statements; made if it is missing."""

    auditor_interval: Annotated[float, Field(ge=10, le=86_400)] = 900.0
    """Seconds from one audit's begin to the next one's."""
    auditor_look_interval: Annotated[float, Field(ge=0.2, le=3600)] = 10.0
    """Seconds between two looks at whether the countings of leases agree."""
    auditor_canaries: Annotated[int, Field(ge=1, le=10_000)] = 15
    """Canaries of one audit, spread over the ways of ending."""
    auditor_round: Annotated[int, Field(ge=1, le=1000)] = 8
    """Canaries that are sent before memory and files are searched."""
    auditor_parallel: Annotated[int, Field(ge=1, le=64)] = 4
    """Canaries on their way at one time."""
    auditor_settle_seconds: Annotated[float, Field(ge=0, le=60)] = 1.0
    """Seconds after the last end of a round before the search begins."""
    auditor_scenes: Names = ("bright_day",)
    """Scenes that are asked for, in turn."""
    auditor_kinds: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_kinds)] = ()
    """Kinds of canaries, in turn: ``jpeg``, ``png``, ``webp``, ``avif``, ``heic``, ``jpeg_large``, ``png_large``.
    Without it: all that can be encoded."""
    auditor_policy_version: str = "2026-11"
    """The privacy policy's version that canaries consent to."""

    auditor_processes: Pairs = (
        "gateway=services.gateway",
        "ingest=services.ingest",
        "render=services.render",
        "purge=services.purge",
        "valkey=valkey-server",
    )
    """Whose memory is searched, children included: service=pid, service=/file/with/pid, or service=word of the command
    line."""
    auditor_metrics: Pairs = ()
    """Ops ports that are searched and counted by: service=HOST:PORT, or service=mtls://HOST:PORT."""
    auditor_logs: Pairs = ()
    """Log files that are searched: service=path."""
    auditor_roots: Pairs = ()
    """Folders in which new and changed files are searched, of one service each: service=path."""
    auditor_shared_roots: Names = ("/tmp", "/var/tmp", "/dev/shm", "~")  # noqa: S108 - read, not written
    """The same of folders that any process may write to, also as containers see them; ``~`` is HOME. TMPDIR joins."""
    auditor_redis_url: str | None = None
    """The registry's Redis, as ``MAYFLY_REDIS_URL``. Without it keys are neither searched nor counted."""
    auditor_redis_username: str | None = None
    """An ACL user that may read everything and write nothing (``services/purge/acl.py`` has its rules)."""
    auditor_redis_password_file: ExistingFile | None = None
    """Its password, in a file of one line."""
    auditor_redis_tls_ca: ExistingFile | None = None
    """For ``rediss``: the CA of the server's certificate, PEM. Default: the system's."""

    auditor_not_searched: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_unreachable)] = ()
    """What is out of this auditor's reach, ``log`` or ``redis``: each statement then says so. A place that is neither
    searched nor listed here makes each audit incomplete."""

    @field_validator("auditor_metrics")
    @classmethod
    def _with_ports(cls, pairs: tuple[str, ...]) -> tuple[str, ...]:
        if without := [pair for pair in pairs if not names_port(pair.partition("=")[2])]:
            raise ValueError(f"{without[0]} has no port from 1 to 65535")
        return pairs

    @field_validator("auditor_not_searched")
    @classmethod
    def _where_is_not_told(cls, places: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        for place, setting in (("log", "auditor_logs"), ("redis", "auditor_redis_url")):
            if place in places and info.data.get(setting):
                raise ValueError(f"names {place}, and MAYFLY_{setting.upper()} says where it is")
        return places

    def redis(self) -> RedisAddress | None:
        """ConfigError if the URL is none, or the password's file can't be read."""
        if self.auditor_redis_url is None:
            return None
        password = None
        if self.auditor_redis_password_file is not None:
            try:
                password = self.auditor_redis_password_file.read_text("utf-8").strip()
            except (OSError, UnicodeDecodeError):
                raise ConfigError("MAYFLY_AUDITOR_REDIS_PASSWORD_FILE: can't be read") from None
        address = RedisAddress(
            self.auditor_redis_url,
            username=self.auditor_redis_username,
            password=password,
            ca=self.auditor_redis_tls_ca,
        )
        address.target()
        return address


def pairs(values: tuple[str, ...]) -> list[tuple[str, str]]:
    """The names and values of such a setting."""
    return [(name, value) for name, _, value in (each.partition("=") for each in values)]
