"""A tally in a file, so that a start reads the log from there and not from its first entry.

It is a cache: whatever is wrong with it, the log is read instead. It is bound to the log by the hash of the last entry
that it covers, which holds a random number, so that another log's is noticed; and to its own bytes by SHA-256.

    magic, number of covered entries, leaf hash of the last one, length of the totals; the totals and the last day's
    minutes in JSON
    number of open grants, then each: photo_id, expire_time, index (packed as in ``Tally``)
    number of generations, then each: first ended_time, size, and its receipts: half the photo_id, index
    SHA-256 of all that
"""

from __future__ import annotations

import hashlib
import json
import struct
from array import array
from collections import Counter
from collections.abc import Callable

from services.purge.day import Day
from services.purge.tally import Tally

_MAGIC = b"MFO2"
_HEAD = struct.Struct(">4sQ32sI")
_COUNT = struct.Struct(">Q")
_GENERATION = struct.Struct(">qQ")
_WORD = 8
_ID = 16
_DIGEST = 32
_PIECE = 1 << 14


def freeze(tally: Tally, leaf: bytes) -> Callable[[], bytes]:
    """What encodes the tally as it is now, in any thread, while it goes on. leaf: the hash of its last entry.

    Copies the open grants here and now (some 10 ms a million); of the receipts only the youngest generation changes.
    """
    covered, granted, audit = tally.covered, tally.granted, tally.audit
    ended, day = tally.ended.copy(), tally.day.rows()
    open_now = tally.packed.copy()
    generations = [(began, receipts) for began, receipts in tally.recent.generations]
    if generations:
        generations[-1] = generations[-1][0], generations[-1][1].copy()

    def encode() -> bytes:
        ends = [[*key, count] for key, count in ended.items()]
        totals = json.dumps([granted, ends, audit, day]).encode()
        head = _HEAD.pack(_MAGIC, covered, leaf, len(totals)) + totals
        photo_ids = list(open_now)
        # In pieces: one call over a million would keep the event loop from running for 40 ms.
        ids = [bytes.fromhex("".join(photo_ids[at : at + _PIECE])) for at in range(0, len(photo_ids), _PIECE)]
        parts = [head, _COUNT.pack(len(open_now)), *ids, _pairs(open_now.values())]
        parts.append(_COUNT.pack(len(generations)))
        for began, receipts in generations:
            parts += [_GENERATION.pack(began, len(receipts)), _words(receipts.keys()), _words(receipts.values())]
        body = b"".join(parts)
        return body + hashlib.sha256(body).digest()

    return encode


class Unusable(Exception):
    """This is no snapshot of this log."""


def thaw(data: bytes, leaf_at: Callable[[int], bytes]) -> Tally:
    """The tally. leaf_at: the log's leaf hash at an index, IndexError beyond its end. Raises Unusable."""
    body, digest = data[:-_DIGEST], data[-_DIGEST:]
    if hashlib.sha256(body).digest() != digest:
        raise Unusable
    try:
        return _decode(body, leaf_at)
    except (ValueError, TypeError, IndexError, struct.error) as error:
        raise Unusable from error


def _decode(body: bytes, leaf_at: Callable[[int], bytes]) -> Tally:
    tally = Tally()
    magic, tally.covered, leaf, length = _HEAD.unpack_from(body)
    if magic != _MAGIC or leaf != leaf_at(tally.covered - 1):
        raise Unusable
    at = _HEAD.size + length
    tally.granted, ended, tally.audit, minutes = json.loads(body[_HEAD.size : at])
    tally.day = Day.of_rows(minutes)
    tally.ended = Counter({(outcome, reason): count for outcome, reason, count in ended})
    (count,) = _COUNT.unpack_from(body, at)
    at += _COUNT.size
    ids = body[at : at + _ID * count].hex()
    at += _ID * count
    high, at = _read_words(body, at, count)
    low, at = _read_words(body, at, count)
    for number in range(count):
        photo_id = ids[2 * _ID * number : 2 * _ID * (number + 1)]
        tally.packed[photo_id] = high[number] << 64 | low[number]
    (generations,) = _COUNT.unpack_from(body, at)
    at += _COUNT.size
    for _ in range(generations):
        began, size = _GENERATION.unpack_from(body, at)
        keys, at = _read_words(body, at + _GENERATION.size, size)
        indices, at = _read_words(body, at, size)
        tally.recent.generations.append((began, dict(zip(keys, indices, strict=True))))
    if at != len(body):
        raise Unusable
    return tally


def _pairs(values: object) -> bytes:
    numbers = list(values)  # type: ignore[call-overload]
    return _words(n >> 64 for n in numbers) + _words(n & 0xFFFFFFFFFFFFFFFF for n in numbers)


def _words(values: object) -> bytes:
    """Unsigned, of eight bytes, in this machine's order: no other machine reads its cache."""
    return array("Q", values).tobytes()  # type: ignore[call-overload,no-any-return]


def _read_words(body: bytes, at: int, count: int) -> tuple[array[int], int]:
    words: array[int] = array("Q")
    words.frombytes(body[at : at + _WORD * count])
    if len(words) != count:
        raise Unusable
    return words, at + _WORD * count
