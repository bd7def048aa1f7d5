"""Bytes as programs write them down by mistake: hexadecimal, base64, escapes, lists of numbers, and back again.

What is read back is searched like bytes, so every window is found that was written, whatever part of a photo it is.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator

from services.purge.auditor.hunt.words import WINDOW

_HEX = re.compile(rb"[0-9a-fA-F]{%d,}" % (2 * WINDOW))
_SPACED_HEX = re.compile(rb"(?:[0-9a-fA-F]{2}[ :,-]){%d,}[0-9a-fA-F]{2}" % (WINDOW - 1))
_BASE64 = re.compile(rb"[A-Za-z0-9+/_-]{%d,}" % (WINDOW * 4 // 3))  # the URL's alphabet as well (RFC 4648, section 5)
_NUMBERS = re.compile(rb"(?:\d{1,3}[,\s]+){%d,}\d{1,3}" % (WINDOW - 1))
_TEXT = re.compile(rb"[\t\n\r\x20-\x7e]{%d,}" % WINDOW)
# Python's repr and JSON's escapes; read back twice, also one in the other.
_ESCAPE = re.compile(rb"\\(?:x([0-9a-fA-F]{2})|u00([0-9a-fA-F]{2})|([nrtbf'\"\\/]))")
_SHORT = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"f": b"\f"}
_PLAIN_BASE64 = bytes.maketrans(b"-_", b"+/")


def read_back(text: bytes | memoryview) -> Iterator[bytes]:
    """Everything in ``text`` that reads as at least a window of bytes, in each way in which it does."""
    for match in _HEX.finditer(text):
        for phase in range(2):
            digits = match[0][phase:]
            yield bytes.fromhex(digits[: len(digits) // 2 * 2].decode("ascii"))
    for match in _SPACED_HEX.finditer(text):
        yield bytes.fromhex(re.sub(rb"[ :,-]", b"", match[0]).decode("ascii"))
    for match in _BASE64.finditer(text):
        for phase in range(4):
            letters = match[0][phase:]
            yield base64.b64decode(letters[: len(letters) // 4 * 4].translate(_PLAIN_BASE64))
    for match in _NUMBERS.finditer(text):
        numbers = [int(number) for number in re.findall(rb"\d+", match[0])]
        if max(numbers) <= 0xFF:
            yield bytes(numbers)
    for match in _TEXT.finditer(text):
        said = match[0]
        for _ in range(2):
            if not _ESCAPE.search(said):
                break
            said = _ESCAPE.sub(_unescaped, said)
            yield said


def _unescaped(match: re.Match[bytes]) -> bytes:
    if digits := match[1] or match[2]:
        return bytes.fromhex(digits.decode("ascii"))
    return _SHORT.get(match[3], match[3])
