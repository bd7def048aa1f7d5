"""Render believes ingest, about exactly what ingest has said, and nobody else."""

from __future__ import annotations

import dataclasses
import datetime as dt

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from mesh.attestation import AttestationVerifier, Attester, Statement
from mesh.errors import Denied
from mesh.identity import Identity, spiffe_id
from tests.unit.serving import TRUST_DOMAIN, FakeClock, authority, identity, leaf

STATEMENT = Statement("00112233445566778899aabbccddeeff", 1234, bytes(range(32)), b"\x08\x01header")
ATTESTER = Attester(identity("ingest"))
SIGNATURE = ATTESTER.sign(STATEMENT)


def clock(days: float = 0.0) -> FakeClock:
    return FakeClock(dt.datetime.now(dt.UTC).timestamp() + days * 86400)


def verifier(days: float = 0.0) -> AttestationVerifier:
    return AttestationVerifier(identity("render"), "ingest", clock(days))


def refused(
    statement: Statement = STATEMENT,
    signature: bytes = SIGNATURE,
    certificate: bytes = ATTESTER.certificate,
    *,
    days: float = 0.0,
) -> None:
    with pytest.raises(Denied) as refusal:
        verifier(days).verify(statement, signature, certificate)
    assert refusal.value.reason == "ATTESTATION_INVALID"


def test_ingests_word() -> None:
    verifier().verify(STATEMENT, SIGNATURE, ATTESTER.certificate)


def test_the_documented_bytes() -> None:
    assert STATEMENT.encode() == (
        b"mayfly.scrubbed.v1\0"
        + bytes.fromhex(STATEMENT.subject_id)
        + (1234).to_bytes(8, "big")
        + bytes(range(32))
        + b"\x08\x01header"
    )


@pytest.mark.parametrize(
    "altered",
    [
        {"subject_id": "00112233445566778899aabbccddeefe"},
        {"byte_count": 1235},
        {"byte_count": 0},
        {"digest": bytes(32)},
        {"header": b""},
        {"header": b"\x08\x01headeR"},
        {"header": b"\x08\x01header\0"},
    ],
)
def test_each_part_counts(altered: dict[str, object]) -> None:
    refused(dataclasses.replace(STATEMENT, **altered))


@given(st.integers(0, len(SIGNATURE) - 1), st.integers(1, 255))
def test_no_bit_of_the_signature_may_change(at: int, flip: int) -> None:
    changed = bytearray(SIGNATURE)
    changed[at] ^= flip
    refused(signature=bytes(changed))


@pytest.mark.parametrize("signature", [b"", b"\x30\x00", SIGNATURE[:-1], SIGNATURE + b"\0", bytes(70)])
def test_no_signature(signature: bytes) -> None:
    refused(signature=signature)


@given(st.integers(0, len(ATTESTER.certificate) - 1), st.integers(1, 255))
def test_no_byte_of_the_certificate_may_change(at: int, flip: int) -> None:
    changed = bytearray(ATTESTER.certificate)
    changed[at] ^= flip
    refused(certificate=bytes(changed))


@given(st.binary(max_size=200))
def test_no_certificate(certificate: bytes) -> None:
    refused(certificate=certificate)


@pytest.mark.parametrize("service", ["gateway", "render", "purge", "ingest2", "ingest/x"])
def test_another_service_of_the_mesh(service: str) -> None:
    other = Attester(identity(service))
    refused(signature=other.sign(STATEMENT), certificate=other.certificate)


def test_ingests_certificate_with_another_signers_signature() -> None:
    refused(signature=Attester(identity("gateway")).sign(STATEMENT))


def test_an_ingest_of_another_ca() -> None:
    other = Attester(identity("ingest", "theirs"))
    refused(signature=other.sign(STATEMENT), certificate=other.certificate)


def test_a_certificate_that_only_names_our_ca() -> None:
    """Same issuer name, signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    forged = _certificate(key.public_key(), key, spiffe_id(TRUST_DOMAIN, "ingest"))
    refused(signature=key.sign(STATEMENT.encode(), ec.ECDSA(hashes.SHA256())), certificate=forged)


def test_a_key_of_another_kind_under_our_ca() -> None:
    key = ed25519.Ed25519PrivateKey.generate()
    certificate = _certificate(key.public_key(), authority().key, spiffe_id(TRUST_DOMAIN, "ingest"))
    refused(signature=key.sign(STATEMENT.encode()), certificate=certificate)


def test_another_trust_domain() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = _certificate(key.public_key(), authority().key, spiffe_id("other.test", "ingest"))
    refused(signature=key.sign(STATEMENT.encode(), ec.ECDSA(hashes.SHA256())), certificate=certificate)


def test_an_expired_certificate_and_one_of_tomorrow() -> None:
    verifier(days=6.9).verify(STATEMENT, SIGNATURE, ATTESTER.certificate)
    refused(days=7.1)
    refused(days=-1)


def test_both_cas_count_while_one_replaces_the_other() -> None:
    ours = identity("render")
    both = Identity(ours.cert, ours.key, authority("theirs").certificate_pem() + ours.ca, TRUST_DOMAIN)
    check = AttestationVerifier(both, "ingest", clock())
    check.verify(STATEMENT, SIGNATURE, ATTESTER.certificate)
    other = Attester(identity("ingest", "theirs"))
    check.verify(STATEMENT, other.sign(STATEMENT), other.certificate)


def test_a_renewed_certificate() -> None:
    pair = leaf("ingest")
    renewed = Attester(Identity(pair.certificate_pem(), pair.key_pem(), authority().certificate_pem(), TRUST_DOMAIN))
    verifier().verify(STATEMENT, renewed.sign(STATEMENT), renewed.certificate)


def _certificate(public: object, signer: ec.EllipticCurvePrivateKey, uri: str) -> bytes:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([]))
        .issuer_name(authority().certificate.subject)
        .public_key(public)  # type: ignore[arg-type]
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri)]), critical=False)
        .sign(signer, hashes.SHA256())
        .public_bytes(Encoding.DER)
    )
