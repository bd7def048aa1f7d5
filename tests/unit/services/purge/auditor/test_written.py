"""Bytes that were written down as text are read back, whatever is around them."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.purge.auditor.places.written import read_back

WRITERS: dict[str, Callable[[bytes], str]] = {
    "hex": bytes.hex,
    "HEX": lambda data: data.hex().upper(),
    "spaced": lambda data: data.hex(" "),
    "colons": lambda data: data.hex(":"),
    "base64": lambda data: base64.b64encode(data).decode(),
    "url": lambda data: base64.urlsafe_b64encode(data).decode(),
    "repr": repr,
    "json of repr": lambda data: json.dumps({"error": repr(data)}),
    "json of latin-1": lambda data: json.dumps(data.decode("latin-1")),
    "list": lambda data: str(list(data)),
    "numpy": lambda data: np.array2string(np.frombuffer(data, np.uint8), threshold=100_000),
}


@pytest.mark.parametrize("writer", WRITERS.values(), ids=WRITERS.keys())
@given(data=st.binary(min_size=34, max_size=200), before=st.text("abc 0129:,{", max_size=9))
def test_what_a_program_prints_of_bytes(writer: Callable[[bytes], str], data: bytes, before: str) -> None:
    text = f"{before};{writer(data)};".encode()
    pieces = list(read_back(text))
    # All but what touches a neighbour that could belong to it: a digit before the first byte, a quantum of base64.
    assert any(data[1:-3] in piece for piece in pieces) or data[1:-3] in text


def test_ordinary_text_is_hardly_anything() -> None:
    assert list(read_back(b'{"event": "serving", "seconds": 1.25}\n' * 100)) == []
