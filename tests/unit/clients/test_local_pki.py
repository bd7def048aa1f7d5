from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import jwt
import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from cryptography.x509.verification import PolicyBuilder, Store

from clients.local import environment
from clients.local.authority import LEAF_LIFETIME, utc_now
from clients.local.environment import SERVICES, Addresses, Redis
from clients.local.pki import CONTENT, IDENTITIES, OPERATOR, PUBLIC, TRUST_DOMAIN, Pki
from clients.local.sign_in import AUDIENCE, ISSUER, SignIn
from clients.local.state import StateFolder
from mesh.errors import ConfigError
from mesh.identity import Identity, spiffe_uris, tls_name


class Clock:
    def __init__(self) -> None:
        self.now = utc_now()

    def __call__(self) -> datetime:
        return self.now


def _certificate(pki: Pki, name: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate(pki.certificate(name).read_bytes())


def files_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_each_service_gets_an_identity_that_the_mesh_takes(tmp_path: Path) -> None:
    pki = Pki(tmp_path / "pki")
    assert set(pki.ensure()) == {"ca", PUBLIC, OPERATOR, CONTENT, *IDENTITIES}
    for name in IDENTITIES:
        Identity.load(cert=pki.certificate(name), key=pki.key(name), ca=pki.ca, trust_domain=TRUST_DOMAIN, service=name)
        usage = _certificate(pki, name).extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        assert set(usage) == {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH}


@pytest.mark.parametrize("dns", ["localhost", tls_name("render")])
def test_a_path_validator_accepts_the_chain(tmp_path: Path, dns: str) -> None:
    pki = Pki(tmp_path)
    pki.ensure()
    store = Store([_certificate(pki, "ca")])
    PolicyBuilder().store(store).build_server_verifier(x509.DNSName(dns)).verify(_certificate(pki, "render"), [])


def test_the_public_face_opens_no_door_inside(tmp_path: Path) -> None:
    pki = Pki(tmp_path)
    pki.ensure()
    assert spiffe_uris(_certificate(pki, PUBLIC)) == []
    assert spiffe_uris(_certificate(pki, "gateway")) == ["spiffe://mayfly.local/gateway"]


def test_the_operators_credential_is_in_a_folder_of_its_own_that_no_service_is_given(tmp_path: Path) -> None:
    state = StateFolder(tmp_path / "state")
    state.create()
    pki = Pki(state.pki)
    pki.ensure()
    assert spiffe_uris(_certificate(pki, OPERATOR)) == ["spiffe://mayfly.local/operator"]
    folder = pki.certificate(OPERATOR).parent
    assert (folder, folder.stat().st_mode & 0o777) == (state.pki / "operator", 0o700)
    assert {path.name for path in folder.iterdir()} == {"operator.pem", "operator.key"}
    places = {name: Addresses("127.0.0.1:1", "127.0.0.1:2") for name in SERVICES}
    for service in SERVICES:
        told = environment.build(service, state=state, addresses=places, redis=Redis(), overrides={})
        assert not any(str(folder) in value for value in told.values())


def test_the_ca_signs_leaves_only(tmp_path: Path) -> None:
    pki = Pki(tmp_path)
    pki.ensure()
    constraints = _certificate(pki, "ca").extensions.get_extension_for_class(x509.BasicConstraints)
    assert constraints.critical and constraints.value.ca and constraints.value.path_length == 0


def test_keys_are_for_their_owner_only(tmp_path: Path) -> None:
    pki = Pki(tmp_path / "pki")
    pki.ensure()
    assert (tmp_path / "pki").stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in files_in(tmp_path / "pki")} == {0o600}


def test_a_second_look_changes_nothing(tmp_path: Path) -> None:
    pki = Pki(tmp_path)
    pki.ensure()
    before = {path: path.read_bytes() for path in files_in(tmp_path)}
    assert pki.ensure() == []
    assert {path: path.read_bytes() for path in files_in(tmp_path)} == before


def test_leaves_are_renewed_a_day_before_they_end_and_the_ca_is_not(tmp_path: Path) -> None:
    clock = Clock()
    pki = Pki(tmp_path, clock)
    pki.ensure()
    clock.now += LEAF_LIFETIME - timedelta(days=1, minutes=1)
    assert pki.ensure() == []
    clock.now += timedelta(minutes=2)
    assert set(pki.ensure()) == {PUBLIC, OPERATOR, *IDENTITIES}
    assert pki.ensure() == []


def test_a_ca_that_would_end_before_its_leaves_is_replaced_with_all_of_them(tmp_path: Path) -> None:
    clock = Clock()
    pki = Pki(tmp_path, clock)
    pki.ensure()
    clock.now += timedelta(days=83)
    assert set(pki.ensure()) == {"ca", PUBLIC, OPERATOR, CONTENT, *IDENTITIES}


def test_what_signs_pictures_says_that_it_is_not_to_be_trusted_and_opens_no_door(tmp_path: Path) -> None:
    pki = Pki(tmp_path)
    pki.ensure()
    leaf, root = x509.load_pem_x509_certificates(pki.certificate(CONTENT).read_bytes())
    for certificate in (leaf, root):
        assert "not to be trusted" in certificate.subject.rfc4514_string()
    leaf.verify_directly_issued_by(root)
    assert root.subject != _certificate(pki, "ca").subject
    assert spiffe_uris(leaf) == []
    usage = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert set(usage) == {ExtendedKeyUsageOID.EMAIL_PROTECTION}


def test_what_signs_pictures_is_renewed_before_an_alert_asks_for_it(tmp_path: Path) -> None:
    clock = Clock()
    pki = Pki(tmp_path, clock)
    pki.ensure()
    clock.now += timedelta(days=59)
    assert CONTENT not in pki.ensure()
    clock.now += timedelta(days=2)
    assert CONTENT in pki.ensure()


@pytest.mark.parametrize("damage", [b"", b"not PEM", None])
def test_a_damaged_or_missing_file_is_replaced(tmp_path: Path, damage: bytes | None) -> None:
    pki = Pki(tmp_path)
    pki.ensure()
    if damage is None:
        pki.key("render").unlink()
    else:
        pki.certificate("render").write_bytes(damage)
    assert pki.ensure() == ["render"]


def test_tokens_are_the_gateways_kind(tmp_path: Path) -> None:
    sign_in = SignIn(tmp_path)
    sign_in.ensure()
    claims = jwt.decode(
        sign_in.token("somebody", 60), sign_in.public_key.read_text(), ["EdDSA"], audience=AUDIENCE, issuer=ISSUER
    )
    assert claims["sub"] == "somebody" and claims["exp"] - claims["iat"] == 60


@pytest.mark.parametrize("seconds", [0, -1, 3601])
def test_tokens_are_short_lived(tmp_path: Path, seconds: int) -> None:
    sign_in = SignIn(tmp_path)
    sign_in.ensure()
    with pytest.raises(ConfigError):
        sign_in.token("somebody", seconds)


def test_the_sign_in_key_stays(tmp_path: Path) -> None:
    SignIn(tmp_path).ensure()
    before = SignIn(tmp_path).public_key.read_bytes()
    SignIn(tmp_path).ensure()
    assert SignIn(tmp_path).public_key.read_bytes() == before
