"""DSSE: the specification's encoding example, and envelopes that were bent."""

from __future__ import annotations

import base64
import json

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh.transparency.dsse import Envelope, key_id, keyring, pae, sign, verify
from mesh.transparency.errors import VerificationError

KEY = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
KEYS = keyring([KEY.public_key()])
TYPE = "http://example.com/HelloWorld"


def test_the_specifications_encoding_example() -> None:
    assert pae(TYPE, b"hello world") == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"


def test_lengths_are_those_of_bytes_not_of_characters() -> None:
    assert pae("é", b"") == b"DSSEv1 2 \xc3\xa9 0 "


def test_the_envelope_is_what_any_dsse_verifier_reads() -> None:
    envelope = sign(TYPE, b"hello world", KEY)
    value = json.loads(envelope.to_json())
    assert value["payload"] == "aGVsbG8gd29ybGQ=" and value["payloadType"] == TYPE
    (signature,) = value["signatures"]
    assert signature["keyid"] == key_id(KEY.public_key()) and len(signature["keyid"]) == 32
    KEY.public_key().verify(base64.b64decode(signature["sig"]), pae(TYPE, b"hello world"))


@settings(deadline=None)
@given(st.text(st.characters(codec="utf-8"), max_size=20), st.binary(max_size=200))
def test_envelopes_come_back(kind: str, payload: bytes) -> None:
    envelope = Envelope.from_json(sign(kind, payload, KEY).to_json())
    assert verify(envelope, KEYS, kind) == payload


def test_what_is_not_covered_is_refused() -> None:
    good = sign(TYPE, b"hello world", KEY)
    other = Ed25519PrivateKey.from_private_bytes(b"o" * 32)
    bent = [
        Envelope(TYPE, b"hello worle", good.keyid, good.signature),
        Envelope(TYPE + "2", b"hello world", good.keyid, good.signature),
        Envelope(TYPE, b"hello world", key_id(other.public_key()), good.signature),
        Envelope(TYPE, b"hello world", good.keyid, b""),
        Envelope(TYPE, b"hello world", good.keyid, good.signature + b"\0"),
        sign(TYPE, b"hello world", other),
    ]
    for envelope in bent:
        with pytest.raises(VerificationError):
            verify(envelope, KEYS, TYPE)
    with pytest.raises(VerificationError):
        verify(sign("another/type", b"hello world", KEY), KEYS, TYPE)


def test_a_boundary_between_type_and_payload_cannot_be_moved() -> None:
    good = sign("a", b"b 1 c", KEY)
    with pytest.raises(VerificationError):
        verify(Envelope("a 5 b", b"c", good.keyid, good.signature), KEYS, "a 5 b")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"{", b"{ "),
        (b'"payload"', b'"payload2"'),
        (b'"keyid"', b'"extra":1,"keyid"'),
        (b'"payload":"', b'"payload":"\\u0061'),
        (b'"payload":"aGVsbG8gd29ybGQ="', b'"payload":"aGVsbG8gd29ybGR="'),
        (b'"payload":"aGVsbG8gd29ybGQ="', b'"payload":"aGVsbG8gd29ybGQ"'),
        (b'"payload":"aGVsbG8gd29ybGQ="', b'"payload":17'),
        (b'"payload":"aGVsbG8gd29ybGQ="', b'"payload":"x","payload":"aGVsbG8gd29ybGQ="'),
        (b'"signatures":[', b'"signatures":[[],'),
        (b"}]", b"},{}]"),
        (b"}]}", b"}]}\n"),
        (b"}]}", b"}]"),
    ],
)
def test_other_spellings_are_refused(old: bytes, new: bytes) -> None:
    data = sign(TYPE, b"hello world", KEY).to_json()
    assert old in data
    with pytest.raises(VerificationError):
        Envelope.from_json(data.replace(old, new, 1))
