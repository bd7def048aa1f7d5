"""Hostile bytes: whatever happens, it is ``Invalid`` or a clean photo, the same for any chunking, and quick."""

from __future__ import annotations

import random
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh.errors import Invalid
from services.ingest.limits import Limits
from services.ingest.refusals import Reason
from services.ingest.report import Facts
from tests import photos
from tests.unit.services.ingest.scrubbing import scrub
from tests.unit.services.ingest.verify.verifying import verify

SEEDS = {
    "jpeg": [
        *photos.jpegs().values(),
        photos.phone_jpeg(),
        photos.with_segments(photos.jpeg(), list(enumerate(photos.jpeg_metadata().values())))[:60_000],
    ],
    "png": [
        *photos.pngs().values(),
        *(
            photos.with_chunks(each, list(enumerate([*photos.png_colour().values(), *photos.png_metadata().values()])))
            for each in photos.pngs().values()
        ),
    ],
    "webp": [
        *photos.webps().values(),
        *(
            photos.with_riff_chunks(each, list(enumerate(photos.webp_metadata().values())))
            for each in photos.webps().values()
        ),
    ],
    "gif": [
        *photos.gifs().values(),
        *(
            photos.with_blocks(each, list(enumerate(photos.gif_metadata().values())))
            for name, each in photos.gifs().items()
            if name != "large"
        ),
    ],
}
LIMITS = Limits(inflate_idat=True, max_pixels=1_000_000)
ROUNDS = 6_000
SIGNATURES = [
    b"",
    b"\xff\xd8\xff",
    b"\x89PNG\r\n\x1a\n",
    b"RIFF\x40\0\0\0WEBP",
    b"RIFF\x40\0\0\0WEBPVP8X",
    b"GIF89a",
]


def outcome(data: bytes, size: int) -> tuple[bytes, Facts] | str:
    """The result or the reason; anything but ``Invalid`` propagates and fails the test."""
    try:
        return scrub(data, size=size, limits=LIMITS)
    except Invalid as refused:
        return Reason(refused.reason)


def mutated(data: bytes, chance: random.Random) -> bytes:
    """One to four of: bytes changed, a run removed, repeated or moved, a number planted, the end cut."""
    broken = bytearray(data)
    for _ in range(chance.randrange(1, 5)):
        at = chance.randrange(len(broken) + 1)
        run = chance.randrange(1, 40)
        match chance.randrange(6):
            case 0 | 1:
                broken[at : at + 1] = bytes((chance.randrange(256),))
            case 2:
                del broken[at : at + run]
            case 3:
                broken[at:at] = broken[at : at + run]
            case 4:
                number = chance.choice((0, 1, 0x7F, 0xFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF))
                broken[at : at + 4] = struct.pack(chance.choice("<>") + "I", number)
            case _ if chance.random() < 0.1:
                del broken[at:]
            case _:
                broken[at : at + 2] = bytes((0xFF, chance.randrange(0xC0, 0x100)))
    return bytes(broken)


@pytest.mark.parametrize("format", sorted(SEEDS))
def test_mutations(format: str) -> None:
    chance = random.Random(format)
    accepted = 0
    for _ in range(ROUNDS):
        data = mutated(chance.choice(SEEDS[format]), chance)
        first = outcome(data, 1 << 16)
        assert outcome(data, chance.randrange(1, 300)) == first
        if not isinstance(first, str):
            accepted += 1
            clean, facts = first
            verify(clean, facts)
            again = outcome(clean, 1 << 16)
            assert not isinstance(again, str), "the output of a scrub must pass a scrub"
            assert again[0] == clean
            assert (again[1].width, again[1].height) == (facts.width, facts.height)
    assert accepted > ROUNDS // 100  # the mutations reach beyond the first check


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(
        [b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF\x40\0\0\0WEBP", b"RIFF\x40\0\0\0WEBPVP8X", b"GIF89a"]
    ),
    st.binary(max_size=300),
)
def test_noise_behind_a_signature(head: bytes, noise: bytes) -> None:
    assert isinstance(outcome(head + noise, 1 << 16), str)
    assert outcome(head + noise, 3) == outcome(head + noise, 1 << 16)
