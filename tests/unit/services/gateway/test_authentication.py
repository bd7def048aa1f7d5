"""Tokens: one issuer, one audience, one algorithm, and nothing else gets in."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from mesh.errors import ConfigError, Unauthenticated
from services.gateway.authentication import Authenticator

ISSUER, AUDIENCE = "https://sign-in.test", "mayfly"
KEY = Ed25519PrivateKey.generate()
PEM = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def claims(**changed: Any) -> dict[str, Any]:
    now = int(time.time())
    whole = {"iss": ISSUER, "aud": AUDIENCE, "sub": "user-1", "iat": now, "exp": now + 600, **changed}
    return {name: value for name, value in whole.items() if value is not None}


def token(key: Any = KEY, algorithm: str = "EdDSA", headers: dict[str, Any] | None = None, **changed: Any) -> str:
    return jwt.encode(claims(**changed), key, algorithm=algorithm, headers=headers)


@pytest.fixture(scope="module")
def authenticator(tmp_path_factory: pytest.TempPathFactory) -> Authenticator:
    file = tmp_path_factory.mktemp("key") / "issuer.pem"
    file.write_bytes(PEM)
    return Authenticator(file, issuer=ISSUER, audience=AUDIENCE)


def owner(authenticator: Authenticator, text: str) -> bytes:
    return authenticator.owner([("user-agent", "x"), ("authorization", text)])


def refused(authenticator: Authenticator, text: str, reason: str = "TOKEN_INVALID") -> None:
    with pytest.raises(Unauthenticated) as refusal:
        owner(authenticator, text)
    assert refusal.value.reason == reason
    assert "user-1" not in str(refusal.value)


def test_an_owner_is_a_digest_of_issuer_and_subject(authenticator: Authenticator) -> None:
    found = owner(authenticator, f"Bearer {token()}")
    assert found == hashlib.sha256(f"{ISSUER}\0user-1".encode()).digest()
    assert owner(authenticator, f"bearer {token(jti='again')}") == found
    assert owner(authenticator, f"BEARER {token(sub='user-2')}") != found
    assert owner(authenticator, f"Bearer {token(aud=[AUDIENCE, 'other'])}") == found


@pytest.mark.parametrize("text", ["", "Bearer", "Basic dXNlcjpwYXNz", token()])
def test_no_token(authenticator: Authenticator, text: str) -> None:
    refused(authenticator, text, "TOKEN_MISSING")


@pytest.mark.parametrize("metadata", [None, [], [("authorization", b"Bearer x")], [("x-authorization", "Bearer x")]])
def test_no_header(authenticator: Authenticator, metadata: Any) -> None:
    with pytest.raises(Unauthenticated) as refusal:
        authenticator.owner(metadata)
    assert refusal.value.reason == "TOKEN_MISSING"


def test_expired(authenticator: Authenticator) -> None:
    refused(authenticator, f"Bearer {token(exp=int(time.time()) - 31)}", "TOKEN_EXPIRED")
    owner(authenticator, f"Bearer {token(exp=int(time.time()) - 5)}")  # clocks differ


@pytest.mark.parametrize(
    "changed",
    [
        {"iss": "https://elsewhere.test"},
        {"iss": ISSUER + "/"},
        {"iss": None},
        {"iss": [ISSUER]},
        {"aud": "other"},
        {"aud": None},
        {"aud": []},
        {"sub": None},
        {"sub": ""},
        {"sub": 7},
        {"exp": None},
        {"exp": "soon"},
        {"nbf": 2**40},
        {"iat": 2**40},
    ],
)
def test_wrong_claims(authenticator: Authenticator, changed: dict[str, Any]) -> None:
    now = int(time.time())
    whole = {"iss": ISSUER, "aud": AUDIENCE, "sub": "user-1", "iat": now, "exp": now + 600, **changed}
    refused(authenticator, "Bearer " + _sign({k: v for k, v in whole.items() if v is not None}))


def _part(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def _sign(payload: object, header: object = None, sign: Any = None) -> str:
    """As a sign-in service would that doesn't look at what it signs."""
    head = _part(json.dumps(header or {"alg": "EdDSA", "typ": "JWT"}).encode())
    body = f"{head}.{_part(json.dumps(payload).encode())}"
    return f"{body}.{_part((sign or KEY.sign)(body.encode()))}"


def test_algorithms_that_are_not_the_one(authenticator: Authenticator) -> None:
    raw = KEY.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    for secret in (PEM, raw, b""):
        keyed = _sign(claims(), {"alg": "HS256"}, lambda body, key=secret: hmac.digest(key, body, "sha256"))
        refused(authenticator, f"Bearer {keyed}")
    refused(authenticator, "Bearer " + _sign(claims(), {"alg": "none"}, lambda _: b""))
    refused(authenticator, "Bearer " + _sign(claims(), {"alg": "None"}, lambda _: b""))
    refused(authenticator, "Bearer " + token(ec.generate_private_key(ec.SECP256R1()), "ES256"))
    refused(authenticator, "Bearer " + _sign(claims(), {"alg": ["EdDSA"]}))
    refused(authenticator, "Bearer " + _sign(claims(), {"typ": "JWT"}))
    refused(authenticator, "Bearer " + _sign(claims(), {"alg": "EdDSA", "crit": ["x"], "x": 1}))
    refused(authenticator, "Bearer " + _sign([]))
    refused(authenticator, "Bearer " + _sign("user-1"))


def test_another_key_even_if_the_header_brings_it(authenticator: Authenticator) -> None:
    other = Ed25519PrivateKey.generate()
    x = _part(other.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw))
    refused(authenticator, f"Bearer {token(other)}")
    refused(authenticator, f"Bearer {token(other, headers={'jwk': {'kty': 'OKP', 'crv': 'Ed25519', 'x': x}})}")
    refused(authenticator, f"Bearer {token(other, headers={'kid': '/dev/null', 'jku': 'https://evil.test'})}")


@given(st.integers(0, 10_000), st.sampled_from("Aa0-_. =é\n"))
def test_no_character_may_change(at: int, new: str) -> None:
    good = TOKEN
    at %= len(good)
    changed = good[:at] + new + good[at + 1 :]
    if _same(changed, good):
        return
    with pytest.raises(Unauthenticated):
        SHARED.owner([("authorization", f"Bearer {changed}")])


@given(st.text(max_size=80))
def test_no_text_gets_in(text: str) -> None:
    with pytest.raises(Unauthenticated):
        SHARED.owner([("authorization", f"Bearer {text}")])


TOKEN = token()
SHARED = Authenticator.__new__(Authenticator)
SHARED._key, SHARED._issuer, SHARED._audience = KEY.public_key(), ISSUER, AUDIENCE


def _same(changed: str, good: str) -> bool:
    """The last character of a part has bits that mean nothing."""

    def decoded(text: str) -> list[bytes]:
        return [base64.urlsafe_b64decode(part + "==") for part in text.split(".")]

    try:
        return decoded(changed) == decoded(good)
    except ValueError:
        return False


@pytest.mark.parametrize("content", [b"", b"no key", KEY.private_bytes_raw()])
def test_a_key_file_that_is_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "key").write_bytes(content)
    with pytest.raises(ConfigError, match="MAYFLY_GATEWAY_TOKEN_KEY"):
        Authenticator(tmp_path / "key", issuer=ISSUER, audience=AUDIENCE)


def test_a_key_of_another_kind(tmp_path: Path) -> None:
    other = ec.generate_private_key(ec.SECP256R1()).public_key()
    (tmp_path / "key").write_bytes(other.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    with pytest.raises(ConfigError, match="Ed25519"):
        Authenticator(tmp_path / "key", issuer=ISSUER, audience=AUDIENCE)


def test_the_service_class_is_the_token_s(authenticator: Authenticator) -> None:
    def of(text: str) -> str:
        return authenticator.caller([("authorization", f"Bearer {text}")]).service_class

    assert of(token()) == "standard"
    assert of(token(mayfly_class="standard")) == "standard"
    assert of(token(mayfly_class="priority")) == "priority"
    for wrong in ("gold", "", 1, ["priority"]):
        refused(authenticator, f"Bearer {token(mayfly_class=wrong)}")
