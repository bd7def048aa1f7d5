"""The commands for people who work on scenes: previews, and the table of likeness."""

from __future__ import annotations

import io
import shutil
from pathlib import Path

import pytest
from PIL import Image

from services.render import likeness, previews
from services.render.catalogue import BUILTIN, Catalogue


def _folder(tmp_path: Path) -> Path:
    shutil.copytree(BUILTIN / "bright_day", tmp_path / "odd")
    (tmp_path / "odd" / "preview.jpg").unlink()
    return tmp_path


def test_a_preview_is_drawn_where_it_is_missing_and_again_for_another_recipe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = _folder(tmp_path)
    assert not previews.is_of(Catalogue.load(own=folder).get("odd"))
    monkeypatch.setattr("sys.argv", ["previews", str(folder)])
    previews.main()
    file = folder / "odd" / "preview.jpg"
    assert capsys.readouterr().out == f"{file}\n"
    assert previews.is_of(Catalogue.load(own=folder).get("odd"))
    data = file.read_bytes()
    assert len(data) <= previews.MOST_BYTES
    with Image.open(io.BytesIO(data)) as image:
        assert (image.format, image.size) == ("JPEG", (192, 240))
    previews.main()
    assert capsys.readouterr().out == "", "it is up to date"
    scene = folder / "odd" / "scene.toml"
    scene.write_text(scene.read_text().replace("vignette", "grain", 1) + "# another\n", encoding="utf-8")
    assert not previews.is_of(Catalogue.load(own=folder).get("odd"))


def test_a_broken_scene_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (_folder(tmp_path) / "odd" / "scene.toml").write_text("kind = 3", encoding="utf-8")
    monkeypatch.setattr("sys.argv", ["previews", str(tmp_path)])
    with pytest.raises(SystemExit) as ended:
        previews.main()
    assert ended.value.code == 78
    assert "odd/scene.toml: kind: must be one of" in capsys.readouterr().err


def test_the_table_of_likeness(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.argv", ["likeness", "--scenes", "bright_day"])
    likeness.main()
    scene, photo, kept = capsys.readouterr().out.split()
    assert (scene, photo) == ("bright_day", "grace_hopper.jpg")
    assert likeness.BOUNDS["enhance"] < float(kept) <= 1
