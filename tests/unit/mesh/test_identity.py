"""A process starts only with a certificate that is its own, of our CA, with its key."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from mesh.errors import ConfigError, Denied
from mesh.identity import Identity, caller, spiffe_uris
from tests.unit.serving import TRUST_DOMAIN, authority, leaf


class Files:
    """cert.pem, key.pem and ca.pem of ingest, of which a test replaces some."""

    def __init__(self, folder: Path) -> None:
        self.cert, self.key, self.ca = (folder / name for name in ("cert.pem", "key.pem", "ca.pem"))
        pair = leaf("ingest")
        self.cert.write_bytes(pair.certificate_pem())
        self.key.write_bytes(pair.key_pem())
        self.ca.write_bytes(authority().certificate_pem())

    def load(self, service: str = "ingest") -> Identity:
        return Identity.load(cert=self.cert, key=self.key, ca=self.ca, trust_domain=TRUST_DOMAIN, service=service)

    def complaint(self, service: str = "ingest") -> str:
        with pytest.raises(ConfigError) as error:
            self.load(service)
        assert "\n" not in str(error.value)
        return str(error.value)


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def test_what_belongs_together_loads(files: Files) -> None:
    loaded = files.load()
    assert f"spiffe://{TRUST_DOMAIN}/ingest" in spiffe_uris(loaded.certificate())
    assert loaded.private_key().public_key() == loaded.certificate().public_key()


def test_another_services_certificate(files: Files) -> None:
    assert files.complaint("render") == f"MAYFLY_TLS_CERT: is not spiffe://{TRUST_DOMAIN}/render's"


def test_a_certificate_without_a_spiffe_id(files: Files) -> None:
    pair = leaf("ingest", spiffe=False)
    files.cert.write_bytes(pair.certificate_pem())
    files.key.write_bytes(pair.key_pem())
    assert files.complaint().startswith("MAYFLY_TLS_CERT: is not spiffe://")


def test_another_key(files: Files) -> None:
    files.key.write_bytes(leaf("ingest").key_pem())
    assert files.complaint() == "MAYFLY_TLS_KEY: is not the key of MAYFLY_TLS_CERT"


def test_another_ca(files: Files) -> None:
    files.ca.write_bytes(authority("theirs").certificate_pem())
    assert files.complaint() == "MAYFLY_TLS_CA: did not sign MAYFLY_TLS_CERT"


def test_a_ca_that_replaces_another(files: Files) -> None:
    files.ca.write_bytes(authority("theirs").certificate_pem() + authority().certificate_pem())
    assert len(files.load().authorities()) == 2


@pytest.mark.parametrize("name", ["cert", "key", "ca"])
@pytest.mark.parametrize("content", [b"", b"not PEM", b"-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n"])
def test_not_pem(files: Files, name: str, content: bytes) -> None:
    getattr(files, name).write_bytes(content)
    assert "not PEM" in files.complaint()


def test_a_key_under_a_password(files: Files) -> None:
    key = leaf("ingest").key
    from cryptography.hazmat.primitives.serialization import BestAvailableEncryption

    files.key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x")))
    assert "not PEM" in files.complaint()


def test_a_key_of_another_kind_signs_nothing(files: Files) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    loaded = files.load()
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    with pytest.raises(ConfigError, match="must be an EC"):
        Identity(loaded.cert, pem, loaded.ca, TRUST_DOMAIN).private_key()


class Context:
    """The part of gRPC's server context that names the caller."""

    def __init__(self, *names: str) -> None:
        self._names = [name.encode() for name in names]

    def auth_context(self) -> dict[str, list[bytes]]:
        return {"x509_subject_alternative_name": self._names} if self._names else {}


def test_the_caller_is_the_last_part_of_its_spiffe_id() -> None:
    assert caller(Context("gateway.mayfly.internal", f"spiffe://{TRUST_DOMAIN}/gateway"), TRUST_DOMAIN) == "gateway"


@pytest.mark.parametrize(
    "names",
    [
        (),
        ("gateway", "gateway.mayfly.internal", "127.0.0.1"),
        ("spiffe://elsewhere.test/gateway",),
        (f"spiffe://{TRUST_DOMAIN}.evil.test/gateway",),
        (f"https://{TRUST_DOMAIN}/gateway",),
    ],
)
def test_callers_of_nowhere(names: tuple[str, ...]) -> None:
    with pytest.raises(Denied) as refusal:
        caller(Context(*names), TRUST_DOMAIN)
    assert refusal.value.reason == "CALLER_UNKNOWN"


def test_a_longer_path_is_another_caller() -> None:
    assert caller(Context(f"spiffe://{TRUST_DOMAIN}/gateway/x"), TRUST_DOMAIN) == "gateway/x"
