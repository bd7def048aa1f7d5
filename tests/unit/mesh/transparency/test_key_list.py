"""The list of public keys: who signed when."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from mesh.transparency.errors import VerificationError
from mesh.transparency.key_list import KeyList, Period

A, B, C = (Ed25519PrivateKey.from_private_bytes(letter * 32).public_key() for letter in (b"a", b"b", b"c"))
LIST = KeyList("mayfly.test/log").signing(A, C, 100).signing(A, C, 150).signing(B, C, 200).signing(A, C, 300)


def test_a_key_signs_from_when_it_is_seen_until_another_takes_its_place() -> None:
    assert LIST.receipts == (Period(A, 100, 200), Period(B, 200, 300), Period(A, 300))
    assert LIST.log == (Period(C, 100),)
    assert [verifier.key for verifier in LIST.verifiers] == [C]


def test_the_list_comes_back_and_no_byte_of_it_may_change() -> None:
    data = LIST.to_json()
    assert KeyList.from_json(data) == LIST
    for at in range(0, len(data), 3):
        changed = bytearray(data)
        changed[at] ^= 1
        try:
            assert KeyList.from_json(bytes(changed)) != LIST
        except VerificationError as error:
            assert error.check == "keys" or error.check == "key"
    for bad in (b"", b"{}", b"[]", data + b" ", b"1" * (2 << 20)):
        with pytest.raises(VerificationError):
            KeyList.from_json(bad)


def test_a_time_is_covered_with_some_slack() -> None:
    period = Period(A, 100, 200)
    assert [second for second in (39, 40, 150, 260, 261) if period.covers(second, 60)] == [40, 150, 260]
    assert Period(A, 100).covers(10**9, 0)
