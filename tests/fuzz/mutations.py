"""Ways to break a file: of its bytes, and of its parts with what holds them together set right again.

Where a format guards its parts (a PNG's checksums, RIFF's size), most mutants get the guard recomputed: else nothing
behind the guard would ever be reached.
"""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable

from tests.fuzz import corpus

Mutation = Callable[[bytearray, random.Random], None]
_NUMBERS = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x100, 0x7FFF, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


def flip(data: bytearray, chance: random.Random) -> None:
    data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)


def change(data: bytearray, chance: random.Random) -> None:
    data[chance.randrange(len(data))] = chance.randrange(256)


def number(data: bytearray, chance: random.Random) -> None:
    size = chance.choice((1, 2, 4))
    at = chance.randrange(len(data))
    value = chance.choice(_NUMBERS) & (1 << 8 * size) - 1
    data[at : at + size] = value.to_bytes(size, chance.choice(("big", "little")))


def remove(data: bytearray, chance: random.Random) -> None:
    at = chance.randrange(len(data))
    del data[at : at + chance.randrange(1, 40)]


def repeat(data: bytearray, chance: random.Random) -> None:
    at, to = chance.randrange(len(data)), chance.randrange(len(data) + 1)
    data[to:to] = data[at : at + chance.randrange(1, 40)]


def insert(data: bytearray, chance: random.Random) -> None:
    at = chance.randrange(len(data) + 1)
    data[at:at] = chance.randbytes(chance.randrange(1, 20))


def cut(data: bytearray, chance: random.Random) -> None:
    del data[chance.randrange(len(data) + 1) :]


_BYTES: tuple[Mutation, ...] = (flip, flip, change, change, number, remove, repeat, insert)


def mutant(data: bytes, chance: random.Random) -> bytes:
    """One to four changes of bytes."""
    broken = bytearray(data)
    for _ in range(chance.randrange(1, 5)):
        if broken:
            chance.choice(_BYTES)(broken, chance)
    return bytes(broken)


class Mutator:
    """Mutants of one format's corpus, the same for the same ``seed``."""

    def __init__(self, format: str, seed: object) -> None:
        self._format = format
        self._chance = random.Random(f"{format} {seed}")
        self._seeds = corpus.seeds(format)
        self._parts = [corpus.parts(data) for data in self._seeds]
        self._words = corpus.WORDS[format]

    @property
    def chance(self) -> random.Random:
        return self._chance

    def next(self) -> bytes:
        """One to four mutations; one file in 16 is cut short as well, one in 64 is spliced with another."""
        chance = self._chance
        data = self._of_parts() if chance.random() < 0.6 else bytearray(chance.choice(self._seeds))
        if chance.random() < 0.5 or not data:
            for _ in range(chance.randrange(1, 5)):
                self._somewhere(data)
        if chance.random() < 1 / 64:
            other = chance.choice(self._seeds)
            data[chance.randrange(len(data) + 1) :] = other[chance.randrange(len(other)) :]
        if data and chance.random() < 1 / 16:
            cut(data, chance)
        return bytes(data)

    def _somewhere(self, data: bytearray) -> None:
        if not data or self._chance.random() < 0.15:
            at = self._chance.randrange(len(data) + 1)
            data[at:at] = self._chance.choice(self._words)
        else:
            self._chance.choice(_BYTES)(data, self._chance)

    def _of_parts(self) -> bytearray:
        """A file whose parts were dropped, repeated, swapped, borrowed or changed inside."""
        chance = self._chance
        parts = list(chance.choice(self._parts))
        for _ in range(chance.randrange(1, 4)):
            low = int(len(parts) > 1 and chance.random() < 15 / 16)  # seldom the signature: nothing is behind it
            at, other = chance.randrange(low, len(parts)), chance.randrange(low, len(parts))
            match chance.randrange(8):
                case 0 if len(parts) > 1:
                    del parts[at]
                case 1:
                    parts.insert(other, parts[at])
                case 2:
                    parts[at], parts[other] = parts[other], parts[at]
                case 3:
                    parts.insert(at, chance.choice(chance.choice(self._parts)))
                case 4:
                    parts.insert(at, chance.choice(self._words))
                case 5 if len(parts[at]) > 8:
                    parts[at] = self._length(parts[at])
                case _ if parts[at]:
                    parts[at] = self._inside(parts[at])
        return self._guarded(parts)

    def _inside(self, part: bytes) -> bytes:
        """Changed behind its header, the length kept, and where there is a checksum a right one."""
        chance, data = self._chance, bytearray(part)
        low = min(8 if self._format in ("png", "webp") else 4, len(data) - 1)
        for _ in range(chance.randrange(1, 4)):
            at = chance.randrange(low, len(data))
            data[at] = chance.choice((0, 1, 0xFF, data[at] ^ (1 << chance.randrange(8)), chance.randrange(256)))
        if self._format == "png" and chance.random() < 0.9 and len(data) >= 12:
            data[-4:] = zlib.crc32(data[4:-4]).to_bytes(4)
        return bytes(data)

    def _length(self, part: bytes) -> bytes:
        """One that lies about its length, by little or by much."""
        chance, data = self._chance, bytearray(part)
        at, size = {"jpeg": (2, 2), "png": (0, 4), "webp": (4, 4), "gif": (2, 1)}[self._format]
        order = "little" if self._format == "webp" else "big"
        told = int.from_bytes(data[at : at + size], order)  # type: ignore[arg-type]
        wrong = chance.choice((told + 1, told - 1, told + chance.randrange(256), 0, chance.choice(_NUMBERS)))
        data[at : at + size] = (wrong % (1 << 8 * size)).to_bytes(size, order)  # type: ignore[arg-type]
        return bytes(data)

    def _guarded(self, parts: list[bytes]) -> bytearray:
        data = bytearray().join(parts)
        if self._format == "webp" and len(data) > 12 and self._chance.random() < 0.9:
            data[4:8] = (len(data) - 8).to_bytes(4, "little")
        return data
