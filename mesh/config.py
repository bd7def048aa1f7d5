"""Settings that every service shares, and how settings are loaded: from the environment, checked once, at start."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated, ClassVar, Literal, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from mesh.errors import ConfigError
from mesh.lockdown.needs import Needs, is_loopback
from mesh.lockdown.policy import Strictness
from mesh.ops_tls import MutualTls

_ADDRESS = re.compile(r"(\[[0-9a-fA-F:]+\]|[A-Za-z0-9_.-]+):([0-9]{1,5})")
MAX_REPLICAS = 16
"""Of purge. Each holder keeps a stream to each, and reports everything to all."""
_INSTANCE = re.compile(r"[a-z0-9][a-z0-9.-]{0,62}")


def _address(value: str) -> str:
    match = _ADDRESS.fullmatch(value)
    if match is None or int(match.group(2)) > 65535:
        raise ValueError("must be HOST:PORT")
    return value


def _instance(value: str) -> str:
    if value and not _INSTANCE.fullmatch(value):
        raise ValueError("must be lowercase letters, digits, dots and dashes, at most 63")
    return value


def _file(value: Path) -> Path:
    if not value.is_file():
        raise ValueError("no such file")
    return value


def _addresses(value: object) -> tuple[str, ...]:
    parts = value.split(",") if isinstance(value, str) else list(value) if isinstance(value, list | tuple) else []
    addresses = tuple(_address(str(part).strip()) for part in parts)
    if not 1 <= len(addresses) <= MAX_REPLICAS or len(set(addresses)) != len(addresses):
        raise ValueError(f"must be 1 to {MAX_REPLICAS} different HOST:PORT, comma-separated")
    return addresses


Address = Annotated[str, AfterValidator(_address)]
Addresses = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_addresses)]
"""One or more, comma-separated."""
ExistingFile = Annotated[Path, AfterValidator(_file)]


class MeshSettings(BaseSettings):
    """What every process of the mesh is told. Each field is the environment variable ``MAYFLY_<FIELD>``."""

    model_config = SettingsConfigDict(env_prefix="MAYFLY_", env_file=None, frozen=True)

    holds_photos: ClassVar[bool] = True
    """Whether photos, or what is left of them, come to it: then it is locked, and its memory forgets."""

    instance: Annotated[str, AfterValidator(_instance)] = ""
    """The place in the deployment that this process fills, stable over restarts. Default: ``<service>-0``."""
    listen: Address
    """Where gRPC is served."""
    ops_listen: Address
    """Where /metrics, /healthz and /readyz are served: on loopback, unless MAYFLY_OPS_TLS says how else."""
    ops_tls: Annotated[Literal["loopback", "mutual", "insecure"], Field(validate_default=True)] = "loopback"
    """``loopback``: plain HTTP, on this machine only. ``mutual``: by TLS, callers show a certificate of the mesh, and
    /metrics is for ``prometheus`` and ``auditor``. ``insecure``: plain HTTP to whoever reaches it."""
    tls_cert: ExistingFile
    """This service's certificate chain, PEM; its SPIFFE URI is its identity."""
    tls_key: ExistingFile
    tls_ca: ExistingFile
    """The CA that signs every identity of the mesh, PEM."""
    trust_domain: str = "mayfly.local"
    """SPIFFE trust domain."""
    reflection: bool = False
    """Serve gRPC reflection (development only)."""
    drain_seconds: Annotated[float, Field(ge=0, le=600)] = 10.0
    """How long SIGTERM waits for photos in flight before it revokes them."""
    max_concurrent_streams: Annotated[int, Field(ge=1, le=100_000)] = 512
    """Per connection."""
    lockdown: Strictness = "strict"
    """``permissive``: serve although the kernel can't hold this process (development on other systems)."""
    tracing: Literal["off", "otlp"] = "off"
    """``otlp``: one trace for each photo, sent to a collector (docs/tracing.md)."""
    tracing_endpoint: Address = "127.0.0.1:4317"
    """Where the collector takes OTLP over gRPC; another machine only with TLS."""
    tracing_ratio: Annotated[float, Field(ge=0, le=1)] = 1.0
    """The share of photos whose traces are recorded. The gateway's alone counts: it begins them."""
    tracing_ca: ExistingFile | None = None
    """The CA of the collector's certificate, PEM: then the connection is TLS."""
    tracing_cert: ExistingFile | None = None
    """A certificate to show to the collector, PEM, if it asks for one."""
    tracing_key: ExistingFile | None = None
    """Its key, PEM."""

    @field_validator("ops_tls")
    @classmethod
    def _is_not_open(cls, value: str, info: ValidationInfo) -> str:
        address = info.data.get("ops_listen")
        if value == "loopback" and address is not None and not is_loopback(address):
            raise ValueError(
                "must be `mutual` where MAYFLY_OPS_LISTEN is not on loopback, or `insecure`, which hides it from nobody"
            )
        return value

    @property
    def ops_is_open(self) -> bool:
        """Whether the ops port answers whoever reaches it, from elsewhere too."""
        return self.ops_tls == "insecure" and not is_loopback(self.ops_listen)

    def mutual_tls(self) -> MutualTls:
        """For both ends of ops ports. Raises ConfigError."""
        return MutualTls(self.tls_cert, self.tls_key, self.tls_ca, self.trust_domain)

    def needs(self) -> Needs:
        """What the process that is told this reads, and where it listens and connects. Its lockdown allows no more."""
        needs = Needs().reading(self.tls_cert, self.tls_key, self.tls_ca)
        return self._tracing_needs(needs.binding(self.listen, self.ops_listen))

    def _tracing_needs(self, needs: Needs) -> Needs:
        if self.tracing == "off":
            return needs
        if self.tracing_ca is None and not is_loopback(self.tracing_endpoint):
            raise ConfigError("MAYFLY_TRACING_CA: must be set: spans leave this machine by TLS only")
        if (self.tracing_cert is None) != (self.tracing_key is None):
            raise ConfigError("MAYFLY_TRACING_CERT, MAYFLY_TRACING_KEY: must both be set, or none of them")
        if self.tracing_cert is not None and self.tracing_ca is None:
            raise ConfigError("MAYFLY_TRACING_CA: must be set with MAYFLY_TRACING_CERT")
        needs = needs.reading(self.tracing_ca, self.tracing_cert, self.tracing_key)
        return needs.connecting([self.tracing_endpoint])


S = TypeVar("S", bound=MeshSettings)


def load(settings: type[S], service: str) -> S:
    """Reads the environment into ``settings``.

    Raises ConfigError with one line that names the variable and what is wrong with it. A variable that looks like
    this service's own (``MAYFLY_<SERVICE>_…``, ``MAYFLY_TRACING_…``) but isn't one is an error too: it is most likely
    misspelt.
    """
    known = {f"MAYFLY_{name.upper()}" for name in settings.model_fields}
    own = (f"MAYFLY_{service.upper()}_", "MAYFLY_TRACING_")
    for name in os.environ:
        if name.upper().startswith(own) and name.upper() not in known:
            raise ConfigError(f"{name}: no such setting")
    try:
        loaded = settings()
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "configuration"
        raise ConfigError(f"MAYFLY_{field.upper()}: {_sentence(first['type'], first['msg'])}") from None
    return loaded if loaded.instance else loaded.model_copy(update={"instance": f"{service}-0"})


def _sentence(kind: str, message: str) -> str:
    return "is not set" if kind == "missing" else message.removeprefix("Value error, ")
