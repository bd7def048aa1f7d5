"""What a value looks like where it was written down: as it is, and in the ways in which programs write bytes."""

from __future__ import annotations

import base64
import hashlib
import itertools
import re
from collections.abc import Iterator, Mapping
from urllib.parse import quote_from_bytes

_BASE64 = re.compile(rb"[A-Za-z0-9+/_-]{16,}={0,2}")
_HEX = re.compile(rb"(?:[0-9a-f]{2}){8,}|(?:[0-9A-F]{2}){8,}")
_SHORTEST = 8
"""Bytes of a form: shorter ones are found in anything that is long enough."""


def forms(value: bytes) -> set[bytes]:
    """Every form of ``value``; parts of a base64 text are found at each of the three offsets."""
    found = {value, value.lower(), value.upper(), *_hex(value), *_base64(value), *_percent(value), *_utf16(value)}
    found.add(repr(value)[2:-1].encode())
    return {form for form in found if len(form) >= _SHORTEST}


def fingerprints(value: bytes) -> Iterator[bytes]:
    """Digests by which a value is recognised; each has forms of its own."""
    for name in ("md5", "sha1", "sha256"):
        yield hashlib.new(name, value, usedforsecurity=False).digest()


def found_in(hay: bytes, needles: Mapping[str, set[bytes]]) -> set[str]:
    """The names of the needles of which any form is in ``hay``."""
    return {name for name, forms_ in needles.items() if any(form in hay for form in forms_)}


def unwrapped(hay: bytes, depth: int = 2) -> bytes:
    """``hay``, and what is within every base64 and hex text in it: a signed statement is JSON in base64 in JSON."""
    if not depth:
        return hay
    inner = [_decoded(run.group()) for run in _BASE64.finditer(hay)]
    inner += [bytes.fromhex(run.group().decode()) for run in _HEX.finditer(hay)]
    return b"\n".join([hay, *(unwrapped(part, depth - 1) for part in inner if len(part) >= _SHORTEST)])


def _decoded(text: bytes) -> bytes:
    plain = text.rstrip(b"=").replace(b"-", b"+").replace(b"_", b"/")
    whole = len(plain) - (len(plain) % 4 == 1)
    return base64.b64decode(plain[:whole] + b"=" * (-whole % 4))


def _hex(value: bytes) -> Iterator[bytes]:
    plain = value.hex()
    spaced = (plain, value.hex(" "), value.hex(":"), "".join(f"\\x{byte:02x}" for byte in value))
    for text in spaced:
        yield text.encode()
        yield text.upper().encode()


def _base64(value: bytes) -> Iterator[bytes]:
    for before, encode in itertools.product(range(3), (base64.b64encode, base64.urlsafe_b64encode)):
        text = encode(bytes(before) + value)
        # Only the characters that all of their six bits are the value's.
        yield text[-(-8 * before // 6) : 8 * (before + len(value)) // 6]


def _percent(value: bytes) -> Iterator[bytes]:
    text = "".join(f"%{byte:02x}" for byte in value)
    yield text.encode()
    yield text.upper().encode()
    yield quote_from_bytes(value).encode()


def _utf16(value: bytes) -> Iterator[bytes]:
    if value.isascii():
        for code in ("utf-16-le", "utf-16-be"):
            yield value.decode().encode(code)
