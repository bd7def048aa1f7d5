"""Certificates for the mesh on this machine, as files: made when they are missing, renewed before they end."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509

from clients.local.authority import (
    LEAF_LIFETIME,
    KeyPair,
    loopback_names,
    new_authority,
    new_content_signer,
    new_leaf,
    utc_now,
)
from clients.local.state import write_private
from mesh.identity import spiffe_id, tls_name

TRUST_DOMAIN = "mayfly.local"
IDENTITIES = ("gateway", "ingest", "render", "purge", "auditor", "prometheus")
PUBLIC = "public"
"""The gateway's face towards apps: of the same CA, but without a SPIFFE id, so that it opens no door inside."""
OPERATOR = "operator"
"""May revoke everything, and nothing else. In a folder of its own, which no service is given."""
CONTENT = "c2pa"
"""Signs pictures. Its chain is of a root of its own, and opens no door at all."""
RENEW_WITHIN = timedelta(days=1)
RENEW_CONTENT_WITHIN = timedelta(days=30)  # earlier than an alert asks for it


class Pki:
    """Files below one folder: ca.pem, ca.key, and NAME.pem, NAME.key for each identity; the operator's in operator/;
    c2pa.pem, c2pa.key for pictures."""

    def __init__(self, folder: Path, clock: Callable[[], datetime] = utc_now) -> None:
        self._folder = folder
        self._clock = clock
        self.ca = folder / "ca.pem"

    def certificate(self, name: str) -> Path:
        return self._place(name) / f"{name}.pem"

    def key(self, name: str) -> Path:
        return self._place(name) / f"{name}.key"

    def ensure(self) -> list[str]:
        """Makes or renews what needs it; returns the names of what is new."""
        for place in (self._folder, self._place(OPERATOR)):
            place.mkdir(mode=0o700, parents=True, exist_ok=True)
        renewed: list[str] = []
        now = self._clock()
        authority = self._load("ca")
        # A CA never ends before a leaf that it signs.
        if authority is None or not authority.lasts(now, LEAF_LIFETIME + RENEW_WITHIN):
            authority = new_authority(now)
            self._store("ca", authority)
            renewed.append("ca")
        for name in (*IDENTITIES, PUBLIC, OPERATOR):
            leaf = self._load(name)
            if leaf is None or not leaf.lasts(now, RENEW_WITHIN) or not leaf.signed_by(authority):
                self._store(name, new_leaf(authority, name, _names(name), now))
                renewed.append(name)
        signer = self._load(CONTENT)
        if signer is None or not signer.lasts(now, RENEW_CONTENT_WITHIN):
            signer, chain = new_content_signer(now)
            write_private(self.key(CONTENT), signer.key_pem())
            write_private(self.certificate(CONTENT), chain)
            renewed.append(CONTENT)
        return renewed

    def _place(self, name: str) -> Path:
        return self._folder / OPERATOR if name == OPERATOR else self._folder

    def _load(self, name: str) -> KeyPair | None:
        try:
            return KeyPair.parse(self.certificate(name).read_bytes(), self.key(name).read_bytes())
        except OSError:
            return None

    def _store(self, name: str, pair: KeyPair) -> None:
        write_private(self.key(name), pair.key_pem())
        write_private(self.certificate(name), pair.certificate_pem())


def _names(name: str) -> list[x509.GeneralName]:
    if name == PUBLIC:
        return loopback_names()
    uri = x509.UniformResourceIdentifier(spiffe_id(TRUST_DOMAIN, name))
    return [uri, x509.DNSName(tls_name(name)), *loopback_names()]
