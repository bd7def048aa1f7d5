"""The façade: pieces pass unchanged, a verdict is final and bare, and nothing of the scrubber is in it."""

from __future__ import annotations

import ast
import traceback
from pathlib import Path

import pytest
from PIL import ImageCms

from mesh.errors import Internal
from mesh.status import to_status
from services.ingest import verify
from services.ingest.report import Colour, Format
from services.ingest.scrub import icc
from services.ingest.verify import Verifier, profiles
from services.ingest.verify.disagreement import Disagreement
from tests import photos
from tests.unit.services.ingest.verify.verifying import sample


def test_pieces_pass_as_they_are() -> None:
    data, facts = sample("jpeg baseline")
    verifier = Verifier()
    assert verifier.format is None
    pieces = [data[:100], memoryview(data)[100:]]
    assert all(out is piece for out, piece in zip(verifier.feed(pieces), pieces, strict=True))
    assert verifier.format is Format.JPEG
    verifier.finish(facts)


def test_a_piece_is_read_before_it_is_passed_on() -> None:
    data, _ = sample("jpeg baseline")
    passed = []
    with pytest.raises(Disagreement):
        passed.extend(Verifier().feed([data[:2], b"stray", data[2:]]))
    assert passed == [data[:2]] * len(passed)


def test_a_verdict_is_final_and_bare() -> None:
    data, facts = sample("png rgb")
    verifier = Verifier()
    with pytest.raises(Disagreement) as caught:
        list(verifier.feed([data[:60] + photos.CANARY]))
        verifier.finish(facts)
    for again in (lambda: list(verifier.feed([data])), lambda: verifier.finish(facts)):
        with pytest.raises(Disagreement):
            again()
    assert isinstance(caught.value, Internal)
    assert (caught.value.reason, caught.value.message) == ("SCRUB_DISAGREEMENT", "Internal error.")
    assert caught.value.rule.encode() not in to_status(caught.value).SerializeToString()
    frames = [frame.f_code.co_filename for frame, _ in traceback.walk_tb(caught.value.__traceback__)]
    assert not any(name.endswith(("png.py", "tape.py")) for name in frames)


@pytest.mark.parametrize("data", [b"", b"?", b"\xff", b"RIFF", b"GIF89a"])
def test_no_picture_at_all(data: bytes) -> None:
    verifier = Verifier()
    with pytest.raises(Disagreement):
        list(verifier.feed([data]))
        verifier.finish(sample("jpeg baseline")[1])


def test_a_bug_of_the_verifier_lets_nothing_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.ingest.verify.jpeg.Jpeg._segment", lambda *_: 1 // 0)
    with pytest.raises(Disagreement) as caught:
        list(Verifier().feed([sample("jpeg baseline")[0]]))
    assert caught.value.rule == "something unforeseen"


def test_it_shares_nothing_with_the_scrubber() -> None:
    folder = Path(verify.__file__).parent
    imported = {
        node.module or ""
        for file in folder.glob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.ImportFrom)
    }
    ours = {name for name in imported if name.startswith(("services", "mesh"))}
    assert {name for name in ours if not name.startswith("services.ingest.verify")} == {
        "services.ingest.report",
        "mesh.errors",
    }


@pytest.mark.parametrize("colour", sorted(icc.OURS))
def test_the_digests_are_those_of_profiles_that_mean_what_they_say(colour: Colour) -> None:
    """Little CMS gives its word for what the profile describes: the XYZ of its primaries, white as D50."""
    assert profiles.space_of(icc.profile(colour)) is colour
    described = ImageCms.getOpenProfile(photos.io.BytesIO(icc.profile(colour))).profile
    green = {Colour.DISPLAY_P3: (0.2919, 0.6922, 0.0419), Colour.ADOBE_RGB: (0.2053, 0.6257, 0.0609)}[colour]
    assert described.green_primary is not None
    assert described.green_primary[0] == pytest.approx(green, abs=0.001)
    assert profiles.space_of(icc.profile(colour)[:-1]) is None
