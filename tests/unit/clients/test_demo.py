from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from clients.demo import leftovers, sample, tables, words
from clients.demo.demo import _choose
from clients.demo.outcome import Outcome, Shown
from clients.sdk.results import Picture, Result, Scene, Scrubbed
from clients.verify import Verified
from services.ingest.report import Removed
from services.purge.receipt import HOLDERS, Custody, Receipt


def _scene(scene_id: str, kind: str) -> Scene:
    return Scene(scene_id, kind, scene_id.title(), {}, 256)


def _shown(removed: dict[str, int]) -> Shown:
    custody = tuple(Custody(holder, "released", 0.004) for holder in ("render", "gateway", "ingest"))
    receipt = Receipt("0" * 32, 1_800_000_000, "settled", "delivered", custody=custody)
    scrubbed = Scrubbed("jpeg", 4, 3, removed)
    result = Result("0" * 32, Picture(b"", "image/jpeg", 4, 3), b"", scrubbed, b"")
    return Shown("s", "Spring", result, Path("s.jpg"), Path("s.json"), Verified(receipt, (), "key", index=3))


def _text(outcome: Outcome) -> str:
    out = io.StringIO()
    tables.show(Console(file=out, width=120), outcome)
    return out.getvalue()


def test_there_are_words_for_every_kind_and_every_holder() -> None:
    assert set(words.KINDS) == {str(kind) for kind in Removed}
    assert set(words.SERVICES) == HOLDERS


def test_one_scene_of_each_kind_the_best_liked_first() -> None:
    scenes = [_scene("a", "milestone"), _scene("spring_meadow", "milestone"), _scene("b", "portrait")]
    assert [scene.scene_id for scene in _choose(scenes)] == ["spring_meadow", "b"]


def test_kinds_stand_below_the_one_that_they_lie_in() -> None:
    text = _text(Outcome([_shown({"thumbnail": 168, "comment": 700, "exif": 652, "gps": 114})], 12, 0))
    places = [text.index(word) for word in ("comment", "camera data", "second, small", "GPS")]
    assert places[0] < places[1] < min(places[2:])


def test_services_stand_in_the_order_of_the_trip() -> None:
    text = _text(Outcome([_shown({})], 0, 0))
    assert text.index("passes the photo on") < text.index("removes the metadata") < text.index("paints the picture")
    assert "nothing" in text and "planted" not in text and "log entry 3" in text and "0 keys" in text


def test_an_unknown_count_is_not_shown_as_zero() -> None:
    assert "0 keys" not in _text(Outcome([_shown({})], 0, None))


def test_the_sample_carries_what_is_then_searched_for() -> None:
    taken = sample.load(None)
    assert leftovers.planted_in(taken.data, taken.canaries) == list(taken.canaries)


def test_a_photo_of_ones_own_is_taken_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(b"photo")
    assert sample.load(tmp_path / "photo.jpg") == sample.Sample(b"photo", {})


def test_planted_bytes_are_found_in_any_file(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "render.log").write_bytes(b"...DEMO-SERIAL...")
    found = leftovers.planted_below(tmp_path, {"serial": b"DEMO-SERIAL", "gps": b"DEMO-GPS"})
    assert found == ["serial"]


@pytest.mark.parametrize(("seconds", "text"), [(0.0042, "4 ms"), (0.9994, "999 ms"), (1.25, "1.2 s")])
def test_durations(seconds: float, text: str) -> None:
    assert words.duration(seconds) == text
