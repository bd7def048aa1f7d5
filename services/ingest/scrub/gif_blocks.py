"""GIF's data sub-blocks: a length of 1 to 255, so many bytes, and again, until a length of 0 (GIF89a, section 15).

How data is cut says nothing about the picture, so what is kept leaves in blocks of 255. Most encoders cut so too:
their blocks pass as views.
"""

from __future__ import annotations

from services.ingest import refusals
from services.ingest.scrub.ledger import Ledger
from services.ingest.scrub.source import Source, Steps

_FULL = 255
_AT_ONCE = 16 * 1024
_SHORT = 64
"""Blocks that are shorter than this cost more than they bring, so their number is bounded as that of segments is."""


def keep_blocks(source: Source, ledger: Ledger, most: int) -> Steps[int]:
    """Keep the sub-blocks' data, cut anew; how many bytes it was. Raises MALFORMED_PHOTO over ``most``."""
    carry, total, ended = b"", 0, False
    while not ended:
        data = b""
        if not carry:
            yield from source.more()
            total += _keep_run(source)
        if carry or source.pos < len(source.chunk):
            data, ended = yield from next_blocks(source, ledger)
            total += len(data)
        if total > most:
            raise refusals.malformed("more data than its picture can need")
        carry += data
        full = len(carry) // _FULL * _FULL
        cut = carry if ended else carry[:full]
        blocks = (cut[at : at + _FULL] for at in range(0, len(cut), _FULL))
        source.emit(b"".join(bytes((len(block),)) + block for block in blocks))
        carry = b"" if ended else carry[full:]
    source.emit(b"\0")
    return total


def _keep_run(source: Source) -> int:
    """Keep the full blocks that lie whole in the chunk, as a view; their data's size."""
    chunk, start, end = source.chunk, source.pos, source.pos
    last = len(chunk) - _FULL
    while end < last and chunk[end] == _FULL:
        end += 1 + _FULL
    source.keep_to(end)
    return (end - start) // (1 + _FULL) * _FULL


def next_blocks(source: Source, ledger: Ledger, *, framed: bool = False) -> Steps[tuple[bytes, bool]]:
    """The data of the next few sub-blocks, and whether the end followed.

    ``framed`` leaves their lengths between the data: XMP in a GIF is text whose bytes serve as lengths too.
    """
    yield from source.more()
    parts, size, chunk, at = list[bytes](), 0, source.chunk, source.pos
    while at < len(chunk) and size < _AT_ONCE and at + chunk[at] < len(chunk):
        length = chunk[at]
        if length < _SHORT:
            if not length:
                source.pos = at + 1
                return b"".join(parts), True
            ledger.segment()
        parts.append(chunk[at + (not framed) : at + 1 + length])
        size += length
        at += 1 + length
    source.pos = at
    if parts:
        return b"".join(parts), False
    length = (yield from source.read(1))[0]  # a block that goes on in the next chunk
    data = (yield from source.read(length)) if length else b""
    return (bytes((length,)) + data if framed else data), not length
