"""A development certificate authority: EC P-256, one level, days rather than years."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

CA_LIFETIME = timedelta(days=90)
LEAF_LIFETIME = timedelta(days=7)
CONTENT_LIFETIME = timedelta(days=90)
"""Of what signs pictures: nothing says when a picture was signed, so it reads as expired from then on."""
UNTRUSTED = "Mayfly development (not to be trusted)"
"""The organisation that readers of a picture's credentials show."""
_SKEW = timedelta(minutes=5)  # a container's clock may be behind ours
_LOOPBACK = ipaddress.ip_address("127.0.0.1")


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A certificate and its private key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @classmethod
    def parse(cls, certificate: bytes, key: bytes) -> KeyPair | None:
        """From PEM; None when it is not a P-256 pair that belongs together."""
        try:
            parsed, private = x509.load_pem_x509_certificate(certificate), load_pem_private_key(key, None)
        except (ValueError, TypeError):
            return None
        if not isinstance(private, ec.EllipticCurvePrivateKey) or private.public_key() != parsed.public_key():
            return None
        return cls(parsed, private)

    def certificate_pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)

    def key_pem(self) -> bytes:
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    def lasts(self, now: datetime, left: timedelta) -> bool:
        """Whether it is valid now and for at least ``left`` more."""
        return self.certificate.not_valid_before_utc <= now <= self.certificate.not_valid_after_utc - left

    def signed_by(self, authority: KeyPair) -> bool:
        try:
            self.certificate.verify_directly_issued_by(authority.certificate)
        except Exception:  # any reason at all means no, and a new one is made
            return False
        return True


def new_authority(now: datetime) -> KeyPair:
    """A CA that may sign leaves only (RFC 5280 section 4.2.1.9: path length 0)."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Mayfly development CA")])
    usage = _usage(key_cert_sign=True, crl_sign=True)
    builder = (
        _builder(name, name, key.public_key(), now, CA_LIFETIME)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    return KeyPair(builder.sign(key, hashes.SHA256()), key)


def new_leaf(authority: KeyPair, common_name: str, names: list[x509.GeneralName], now: datetime) -> KeyPair:
    """A certificate for one process on this machine, server and client in one."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    issuer_key_id = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key())
    builder = (
        _builder(subject, authority.certificate.subject, key.public_key(), now, LEAF_LIFETIME)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(digital_signature=True), critical=True)
        .add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False
        )
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(issuer_key_id, critical=False)
    )
    return KeyPair(builder.sign(authority.key, hashes.SHA256()), key)


def new_content_signer(now: datetime) -> tuple[KeyPair, bytes]:
    """Who signs pictures on this machine, and its chain, PEM: a root of its own, whose key is forgotten at once."""
    root_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    root_name, name = _content_name("content root"), _content_name("content signer")
    root = (
        _builder(root_name, root_name, root_key.public_key(), now, CONTENT_LIFETIME)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(key_cert_sign=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(root_key.public_key()), critical=False)
        .sign(root_key, hashes.SHA256())
    )
    leaf = (
        _builder(name, root_name, key.public_key(), now, CONTENT_LIFETIME)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(digital_signature=True), critical=True)
        # The one of C2PA's purposes that every reader takes without a list of its own (C2PA specification 2.2, 14.5.1).
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(root_key.public_key()), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(root_key, hashes.SHA256())
    )
    return KeyPair(leaf, key), leaf.public_bytes(Encoding.PEM) + root.public_bytes(Encoding.PEM)


def loopback_names() -> list[x509.GeneralName]:
    return [x509.DNSName("localhost"), x509.IPAddress(_LOOPBACK)]


def utc_now() -> datetime:
    return datetime.now(UTC)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime, lifetime: timedelta
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SKEW)
        .not_valid_after(now + lifetime)
    )


def _content_name(what: str) -> x509.Name:
    organization = x509.NameAttribute(NameOID.ORGANIZATION_NAME, UNTRUSTED)
    return x509.Name([organization, x509.NameAttribute(NameOID.COMMON_NAME, f"Mayfly development {what}")])


def _usage(*, digital_signature: bool = False, key_cert_sign: bool = False, crl_sign: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=key_cert_sign,
        crl_sign=crl_sign,
        encipher_only=False,
        decipher_only=False,
    )
