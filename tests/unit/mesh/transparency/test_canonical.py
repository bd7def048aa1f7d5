"""One value, one spelling; and whatever is read, nothing but a VerificationError comes out."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh.transparency.bundle import Bundle
from mesh.transparency.canonical import from_base64, from_json, to_base64, to_json
from mesh.transparency.dsse import Envelope
from mesh.transparency.errors import VerificationError

values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner),
    max_leaves=10,
)


@settings(deadline=None)
@given(values)
def test_json_comes_back(value: object) -> None:
    assert from_json(to_json(value), "x") == value


def test_the_form_is_that_of_rfc_8785_for_what_we_write() -> None:
    value = {"b": [1, 1.5, 0.001, None, True], "a": 'é"\\\n\u001f\u007f'}
    assert to_json(value) == '{"a":"é\\"\\\\\\n\\u001f\u007f","b":[1,1.5,0.001,null,true]}'.encode()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b" 1",
        b"1 ",
        b"1\n",
        b"01",
        b"1.0e1",
        b"1.50",
        b"-0.0e0",
        b"NaN",
        b"Infinity",
        b"1e999",
        b'"\\u0061"',
        b'"\\ud800"',
        b'"\\/"',
        b"\xff",
        b"\xef\xbb\xbf1",
        b'{"a":1,"a":1}',
        b'{"b":1,"a":1}',
        b"[1, 2]",
        b"[" * 100_000,
        b"9" * 10_000,
        b"[1]x",
    ],
)
def test_other_spellings_are_refused(data: bytes) -> None:
    with pytest.raises(VerificationError):
        from_json(data, "x")


@settings(deadline=None)
@given(st.binary(max_size=50))
def test_base64_comes_back(data: bytes) -> None:
    assert from_base64(to_base64(data), "x") == data


@pytest.mark.parametrize("bad", ["YQ", "YR==", "YQ=", "YQ===", "Y Q==", "YQ==\n", "-_==", "é", 7, None, b"YQ=="])
def test_other_base64_is_refused(bad: object) -> None:
    with pytest.raises(VerificationError):
        from_base64(bad, "x")


@settings(deadline=None)
@given(st.binary(max_size=300) | values.map(to_json))
def test_no_reader_of_ours_raises_anything_else(data: bytes) -> None:
    for read in (Bundle.from_json, Envelope.from_json):
        with pytest.raises(VerificationError):
            read(data)
