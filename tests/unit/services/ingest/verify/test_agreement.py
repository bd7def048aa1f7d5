"""No false alarm: whatever the scrubber lets through, of whatever file, the verifier agrees with."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh.errors import Invalid
from services.ingest.report import Colour
from services.ingest.scrub import icc
from tests import photos
from tests.unit.services.ingest.scrubbing import scrub
from tests.unit.services.ingest.verify.verifying import broken_rule, samples, verify

Plant = Callable[[bytes, list[tuple[int, bytes]]], bytes]
KINDS: dict[str, tuple[dict[str, bytes], dict[str, bytes], Plant]] = {
    "jpeg": (photos.jpegs(), photos.jpeg_metadata(), photos.with_segments),
    "png": (photos.pngs(), photos.png_metadata(), photos.with_chunks),
    "webp": (photos.webps(), photos.webp_metadata(), photos.with_riff_chunks),
    "gif": (photos.gifs(), photos.gif_metadata(), photos.with_blocks),
}
ROUNDS = 1500


@pytest.mark.parametrize("name", sorted(samples()))
def test_every_sample_is_agreed_with(name: str) -> None:
    assert broken_rule(*samples()[name]) == ""


@pytest.mark.parametrize("kind", sorted(KINDS))
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_metadata_in_any_place(kind: str, data: st.DataObject) -> None:
    files, metadata, plant = KINDS[kind]
    name = data.draw(st.sampled_from(sorted(files)))
    planted = data.draw(st.lists(st.tuples(st.integers(0, 99), st.sampled_from(sorted(metadata))), max_size=6))
    loud = plant(files[name], [(place, metadata[what]) for place, what in planted])
    verify(*scrub(loud + data.draw(st.binary(max_size=20))), size=data.draw(st.integers(1, 5000)))


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_hostile_files_that_pass_the_scrub_pass_the_verifier(kind: str) -> None:
    """Otherwise an upload could wake somebody up at night."""
    chance, accepted = random.Random(kind), 0
    files, metadata, plant = KINDS[kind]
    for _ in range(ROUNDS):
        planted = [(chance.randrange(9), chance.choice(list(metadata.values())))]
        loud = bytearray(plant(chance.choice(list(files.values())), planted))
        for _ in range(chance.randrange(1, 4)):
            loud[chance.randrange(len(loud))] = chance.choice((0, 1, 2, 0x10, 0xFF, chance.randrange(256)))
        try:
            clean, facts = scrub(bytes(loud))
        except Invalid:
            continue
        accepted += 1
        verify(clean, facts)
    assert accepted > ROUNDS // 50


@pytest.mark.parametrize("colour", sorted(icc.OURS))
def test_profiles_of_ours(colour: Colour) -> None:
    profile = icc.profile(colour)
    for loud in (
        photos.with_segments(photos.jpeg(), [(0, photos.segment(0xE2, b"ICC_PROFILE\0\1\1" + profile))]),
        photos.with_chunks(photos.png(), [(0, photos.chunk(b"iCCP", b"x\0\0" + photos.zlib.compress(profile)))]),
        photos.webp(icc_profile=profile),
        photos.webp(mode="RGBA", lossless=True, icc_profile=profile),
        photos.webp(mode="RGBA", icc_profile=profile),
    ):
        clean, facts = scrub(loud)
        assert facts.colour is colour
        assert broken_rule(clean, facts) == ""


def test_a_filler_behind_a_long_transparency() -> None:
    image = photos.picture(400, 300).copy()
    image.putalpha(photos.Image.effect_noise((400, 300), 90))
    exif = photos.riff_chunk(b"EXIF", photos.CANARY * 9999)
    loud = photos.with_riff_chunks(photos.encode(image, "WEBP"), [(1, exif)])
    clean, facts = scrub(loud)
    assert b"JUNK" in clean
    verify(clean, facts)
    verify(clean, facts, size=1013)
    told = clean[:-3] + b"!" + clean[-2:]
    assert broken_rule(told, facts) == "padding that says something"
