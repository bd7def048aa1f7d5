"""Canaries: unlike each other, known in every place where a photo's bytes can be, and what the mesh makes of them."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from clients.scrubbing.photo import scrub
from mesh.errors import Invalid
from services.ingest.limits import Limits
from services.purge.auditor.canary import canary, pixels
from services.purge.auditor.hunt.index import NeedleIndex
from services.purge.auditor.hunt.words import as_bytes, told
from services.render.decoder import WORK_SIDE
from services.render.decoding import decode_here
from services.render.steps.pixels import from_bytes

LOSSLESS = ("jpeg", "png", "webp", "jpeg_large", "png_large")


def _index(made: canary.Canary) -> NeedleIndex:
    return NeedleIndex(made.needles, common=canary.twins(made.kind))


def _share(index: NeedleIndex, data: bytes) -> float:
    return sum(match.length for match in index.search(as_bytes(data))) / len(data)


@pytest.mark.parametrize("kind", LOSSLESS)
def test_what_the_mesh_makes_of_a_canary_is_known(kind: str) -> None:
    """As ingest scrubs it, as render decodes it, and as its steps hold it."""
    made = canary.make(kind)
    index = _index(made)
    scrubbed, facts = scrub(made.data, Limits())
    decoded = decode_here(facts.format.value, [scrubbed])
    assert _share(index, made.data) > 0.98
    assert _share(index, scrubbed) > 0.98
    assert _share(index, decoded.rgb.tobytes()) == 1.0
    with Image.fromarray(decoded.rgb) as image:
        assert _share(index, image.tobytes("raw", "RGBX")) > 0.94
    assert _share(index, from_bytes(decoded.rgb).tobytes()) > 0.94  # two equal neighbours say nothing
    assert max(decoded.rgb.shape) == min(WORK_SIDE, max(Image.open(io.BytesIO(made.data)).size))


def test_no_tile_hides_much_of_a_canary() -> None:
    """Of twelve that are taken as they come, one at least would by all odds."""
    for made in (canary.make("jpeg") for _ in range(12)):
        for needle in made.needles[1:]:
            assert told(as_bytes(needle.data)) >= 0.98, needle.what


def test_pixels_agree_with_the_decoder_about_the_working_size() -> None:
    assert pixels.WORK_SIDE == WORK_SIDE


@pytest.mark.parametrize("kind", ["jpeg", "png", "webp"])
def test_every_place_for_metadata_holds_something_unique(kind: str) -> None:
    made, other = canary.make(kind), canary.make(kind)
    _, facts = scrub(made.data, Limits())
    said = {str(kind.value) for kind in facts.removed}
    assert said >= {"exif", "gps", "maker_note", "xmp", "trailer"}
    assert _share(_index(made), other.data) == 0.0
    with Image.open(io.BytesIO(made.data)) as image:
        exif, xmp = image.info["exif"], image.info["xmp"]
    for place in (exif, xmp if isinstance(xmp, bytes) else xmp.encode(), made.data[-900:]):
        assert _share(_index(made), place) > 0.5


@pytest.mark.parametrize("kind", [kind for kind in canary.kinds() if kind not in LOSSLESS])
def test_the_formats_that_are_drawn_anew(kind: str) -> None:
    made = canary.make(kind)
    assert _share(_index(made), made.data) > 0.97
    assert _share(_index(made), pixels.decoded(made.data).tobytes()) > 0.99


def test_the_scrubber_refuses_the_malformed_one() -> None:
    with pytest.raises(Invalid, match="MALFORMED_PHOTO"):
        scrub(canary.make("malformed").data, Limits())


def test_the_decoder_refuses_what_the_scrubber_passes() -> None:
    made = canary.make("undecodable")
    scrubbed, facts = scrub(made.data, Limits())
    assert _share(_index(made), scrubbed) > 0.98
    with pytest.raises(Invalid, match="MALFORMED_PHOTO"):
        decode_here(facts.format.value, [scrubbed])


def test_a_small_piece_of_a_tile_is_enough_wherever_it_is_from() -> None:
    made = canary.make("jpeg")
    index = _index(made)
    middle = len(made.data) // 2
    missed = [at for at in range(middle, middle + 2000) if not index.search(as_bytes(made.data[at : at + 40]))]
    assert not missed
