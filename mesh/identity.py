"""Who a process is, and who its callers are: X.509 certificates with SPIFFE URIs, over mutual TLS."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import grpc
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from mesh.context import ServerContext
from mesh.errors import ConfigError, Denied

# A caller is allowed to call a method only if it stands here: full method name -> service names.
AllowList = Mapping[str, frozenset[str]]


def spiffe_id(trust_domain: str, service: str) -> str:
    """``spiffe://<trust domain>/<service>`` (SPIFFE-ID section 2)."""
    return f"spiffe://{trust_domain}/{service}"


def tls_name(service: str) -> str:
    """The DNS name that a service's certificate carries, whatever host it runs on."""
    return f"{service}.mayfly.internal"


@dataclass(frozen=True, slots=True)
class Identity:
    """A certificate with its key, and the CA that it trusts. All PEM."""

    cert: bytes
    key: bytes
    ca: bytes
    trust_domain: str

    @classmethod
    def load(cls, *, cert: Path, key: Path, ca: Path, trust_domain: str, service: str) -> Identity:
        """Reads the files and checks that they belong together and to ``service``; ConfigError otherwise."""
        identity = cls(cert.read_bytes(), key.read_bytes(), ca.read_bytes(), trust_domain)
        try:
            certificate = x509.load_pem_x509_certificate(identity.cert)
            private = load_pem_private_key(identity.key, None)
        except (ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion) as error:
            raise ConfigError(f"MAYFLY_TLS_CERT, MAYFLY_TLS_KEY: not PEM ({type(error).__name__})") from None
        try:
            issued = any(is_issued_by(certificate, authority) for authority in identity.authorities())
        except ValueError:
            raise ConfigError("MAYFLY_TLS_CA: not PEM") from None
        if not issued:
            raise ConfigError("MAYFLY_TLS_CA: did not sign MAYFLY_TLS_CERT")
        if private.public_key() != certificate.public_key():
            raise ConfigError("MAYFLY_TLS_KEY: is not the key of MAYFLY_TLS_CERT")
        if spiffe_id(trust_domain, service) not in spiffe_uris(certificate):
            raise ConfigError(f"MAYFLY_TLS_CERT: is not {spiffe_id(trust_domain, service)}'s")
        return identity

    def certificate(self) -> x509.Certificate:
        return x509.load_pem_x509_certificate(self.cert)

    def private_key(self) -> ec.EllipticCurvePrivateKey:
        """The key as an EC key; the mesh's certificates are P-256."""
        key = load_pem_private_key(self.key, None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise ConfigError("MAYFLY_TLS_KEY: must be an EC P-256 key")
        return key

    def authorities(self) -> list[x509.Certificate]:
        """The CAs that are trusted: two while one replaces the other."""
        return x509.load_pem_x509_certificates(self.ca)

    def server_credentials(self) -> grpc.ServerCredentials:
        """Mutual TLS: a caller without a certificate of our CA does not get past the handshake."""
        return grpc.ssl_server_credentials([(self.key, self.cert)], self.ca, require_client_auth=True)

    def channel_credentials(self) -> grpc.ChannelCredentials:
        return grpc.ssl_channel_credentials(self.ca, self.key, self.cert)


def is_issued_by(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    """Whether ``authority`` itself has signed ``certificate`` (no intermediates: the mesh has one level)."""
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def spiffe_uris(certificate: x509.Certificate) -> list[str]:
    """The URIs of a certificate's SubjectAlternativeName."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return names.get_values_for_type(x509.UniformResourceIdentifier)


def caller(context: ServerContext, trust_domain: str) -> str:
    """The calling service's name, from the certificate that TLS has verified. Denied if it has none of ours."""
    prefix = spiffe_id(trust_domain, "").encode()
    for value in context.auth_context().get("x509_subject_alternative_name", []):
        if value.startswith(prefix):
            return value[len(prefix) :].decode("ascii", "replace")
    raise Denied("CALLER_UNKNOWN", "The caller's certificate carries no SPIFFE id of this mesh.")
