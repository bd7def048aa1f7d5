"""The ops port by mutual TLS: who may ask for what there, and how a process of the mesh asks another one's.

A caller without a certificate of the mesh's CA does not get past the handshake; what it may see then depends on the
SPIFFE id in it, as everywhere inside. Servers are known by their SPIFFE id, too, whatever host they are reached at.
"""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from mesh.errors import ConfigError

METRICS_READERS: Final = frozenset({"prometheus", "auditor"})


class MutualTls:
    """One process's certificate, for both ends. Files are read here, once; raises ConfigError."""

    def __init__(self, cert: Path, key: Path, ca: Path, trust_domain: str) -> None:
        self._prefix = f"spiffe://{trust_domain}/"  # as mesh.identity has it, which brings gRPC with it
        self.server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.server.verify_mode = ssl.CERT_REQUIRED
        self.client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self.client.check_hostname = False  # the SPIFFE id is looked at instead, whatever the host is called
        for context in (self.server, self.client):
            context.minimum_version = ssl.TLSVersion.TLSv1_3
            try:
                context.load_verify_locations(ca)
                context.load_cert_chain(cert, key)
            except (OSError, ssl.SSLError):
                raise ConfigError("MAYFLY_TLS_CERT, MAYFLY_TLS_KEY, MAYFLY_TLS_CA: can't be used for TLS") from None

    def peer(self, connection: ssl.SSLSocket) -> str:
        """The service at the other end; empty if its certificate carries no id of this mesh."""
        names: Any = (connection.getpeercert() or {}).get("subjectAltName", ())
        for kind, name in names:
            if kind == "URI" and name.startswith(self._prefix):
                return str(name[len(self._prefix) :])
        return ""

    def connection(self, host: str, port: int | None, service: str, seconds: float) -> http.client.HTTPSConnection:
        """A connection that is made at the first request, and only if ``service`` answers there; "": any of the mesh.

        ssl.SSLError, an OSError, if it is somebody else.
        """
        return _Connection(self, host, port, service, seconds)


class _Connection(http.client.HTTPSConnection):
    def __init__(self, tls: MutualTls, host: str, port: int | None, service: str, seconds: float) -> None:
        super().__init__(host, port, timeout=seconds, context=tls.client)
        self._tls = tls
        self._service = service

    def connect(self) -> None:
        super().connect()
        peer = self._tls.peer(self.sock)
        if not peer or self._service not in ("", peer):
            self.close()
            raise ssl.SSLError("somebody else answers")


def may_see(caller: str, path: str) -> bool:
    """caller: as ``MutualTls.peer`` gives it. What counts what photos do is for those who keep watch."""
    return caller in METRICS_READERS if path == "/metrics" else bool(caller)


def of(settings: Mapping[str, str]) -> MutualTls:
    """From environment variables, for whoever has no settings of a service."""
    cert, key, ca = (Path(settings.get(f"MAYFLY_TLS_{name}", "")) for name in ("CERT", "KEY", "CA"))
    return MutualTls(cert, key, ca, settings.get("MAYFLY_TRUST_DOMAIN", "mayfly.local"))
