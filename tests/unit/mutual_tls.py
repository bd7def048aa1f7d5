"""Certificates of the tests' CA as files, which is how Python's TLS takes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mesh.ops_tls import MutualTls
from tests.unit.serving import TRUST_DOMAIN, authority, leaf


def certificate(folder: Path, service: str, *, ca: str = "ours", spiffe: bool = True) -> tuple[Path, Path, Path]:
    """Certificate, key and our CA. ca: who has signed it."""
    pair = leaf(service, ca=ca, spiffe=spiffe)
    cert, key, trusted = (folder / f"{service}.{name}" for name in ("pem", "key", "ca"))
    cert.write_bytes(pair.certificate_pem())
    key.write_bytes(pair.key_pem())
    trusted.write_bytes(authority().certificate_pem())
    return cert, key, trusted


def mutual_tls(folder: Path, service: str, **how: Any) -> MutualTls:
    """What ``service`` speaks TLS with. how: as ``certificate``."""
    return MutualTls(*certificate(folder, service, **how), TRUST_DOMAIN)
