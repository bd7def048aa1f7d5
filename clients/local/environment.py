"""What each service of the local mesh is told: no more of our own environment than it needs."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from clients.local.pki import CONTENT, PUBLIC, TRUST_DOMAIN, Pki
from clients.local.processes import SOURCE_ROOT
from clients.local.sign_in import ISSUER, SignIn
from clients.local.state import StateFolder
from mesh.forgetting.environment import SETTINGS

SERVICES = ("purge", "ingest", "render", "gateway")
"""In the order in which they start; they stop in reverse."""
ORIGIN = "mayfly.local/log"
"""The first replica's log; those of the others have the replica's number behind it."""
DRAIN_SECONDS = 10.0
_INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR")
# A person may set these for every service, and MAYFLY_<SERVICE>_… for one.
_COMMON = ("MAYFLY_DRAIN_SECONDS", "MAYFLY_REFLECTION", "MAYFLY_MAX_CONCURRENT_STREAMS", "MAYFLY_LOCKDOWN")
_TRACING = "MAYFLY_TRACING"
_CONTENT = ("MAYFLY_RENDER_C2PA_CERT", "MAYFLY_RENDER_C2PA_KEY")
_ALSO = {"purge": ("MAYFLY_REDIS_",), "render": ("MAYFLY_MODEL_DIR",)}


def processes(purges: int = 1) -> tuple[str, ...]:
    """The names of the processes; of purge's replicas: "purge", "purge-1", …"""
    return ("purge", *(f"purge-{number}" for number in range(1, purges)), *SERVICES[1:])


def service_of(name: str) -> str:
    """Which service the process of that name runs."""
    return name.partition("-")[0]


def is_purge(name: str) -> bool:
    return service_of(name) == "purge"


def numbered(name: str, what: str) -> str:
    """``what`` of a replica: "keys" of "purge", "keys-1" of "purge-1"."""
    return what + name.removeprefix(service_of(name))


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where one service listens."""

    grpc: str
    ops: str


@dataclass(frozen=True, slots=True)
class Redis:
    """Where purge finds its Redis; empty: in our own environment (MAYFLY_REDIS_URL)."""

    url: str = ""
    username: str = ""
    password_file: Path | None = None


def build(
    name: str,
    *,
    state: StateFolder,
    addresses: Mapping[str, Addresses],
    redis: Redis,
    overrides: Mapping[str, str],
) -> dict[str, str]:
    """The whole environment of the process called ``name``; ``overrides`` win."""
    service = service_of(name)
    own = (f"MAYFLY_{service.upper()}_", *_ALSO.get(service, ()))
    environment = {name: value for name, value in os.environ.items() if name in _INHERITED or name in _COMMON}
    environment |= {name: value for name, value in os.environ.items() if name.startswith((*own, _TRACING))}
    pki = Pki(state.pki)
    environment |= {
        # -P (below) keeps a stranger's working folder off the path; the source's root must then be named.
        "PYTHONPATH": str(SOURCE_ROOT),
        "PYTHONDONTWRITEBYTECODE": "1",
        # As a service sets them itself, by starting once more: this saves it the second start.
        **SETTINGS,
        "MAYFLY_INSTANCE": name if name != service else f"{service}-0",
        "MAYFLY_LISTEN": addresses[name].grpc,
        "MAYFLY_OPS_LISTEN": addresses[name].ops,
        "MAYFLY_TLS_CERT": str(pki.certificate(service)),
        "MAYFLY_TLS_KEY": str(pki.key(service)),
        "MAYFLY_TLS_CA": str(pki.ca),
        "MAYFLY_TRUST_DOMAIN": TRUST_DOMAIN,
    }
    return environment | _special(name, state, addresses, redis) | dict(overrides)


def _special(service: str, state: StateFolder, addresses: Mapping[str, Addresses], redis: Redis) -> dict[str, str]:
    if is_purge(service):
        return _purge(service, state, redis)
    special = {"MAYFLY_REGISTRY_TARGET": ",".join(place.grpc for name, place in addresses.items() if is_purge(name))}
    pki = Pki(state.pki)
    if service == "render" and not any(name in os.environ for name in _CONTENT):
        special |= dict(zip(_CONTENT, map(str, (pki.certificate(CONTENT), pki.key(CONTENT))), strict=True))
    if service == "gateway":
        special |= {
            "MAYFLY_GATEWAY_INGEST_TARGET": addresses["ingest"].grpc,
            "MAYFLY_GATEWAY_RENDER_TARGET": addresses["render"].grpc,
            "MAYFLY_GATEWAY_PUBLIC_CERT": str(pki.certificate(PUBLIC)),
            "MAYFLY_GATEWAY_PUBLIC_KEY": str(pki.key(PUBLIC)),
            "MAYFLY_GATEWAY_TOKEN_KEY": str(SignIn(state.pki).public_key),
            "MAYFLY_GATEWAY_TOKEN_ISSUER": ISSUER,
        }
    return special


def _purge(name: str, state: StateFolder, redis: Redis) -> dict[str, str]:
    special = {
        "MAYFLY_PURGE_LOG_DIR": str(state.root / numbered(name, state.transparency_log.name)),
        "MAYFLY_PURGE_KEY_DIR": str(state.root / numbered(name, state.keys.name)),
    }
    if name != "purge":
        special["MAYFLY_PURGE_LOG_ORIGIN"] = numbered(name, ORIGIN)
    if (others := state.shards(name)).is_file():
        special["MAYFLY_PURGE_SHARDS_FILE"] = str(others)
    if redis.url:
        special["MAYFLY_REDIS_URL"] = redis.url
    if redis.username:
        special["MAYFLY_REDIS_USERNAME"] = redis.username
    if redis.password_file is not None:
        special["MAYFLY_REDIS_PASSWORD_FILE"] = str(redis.password_file)
    return special
