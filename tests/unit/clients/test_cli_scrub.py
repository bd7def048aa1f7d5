"""`mayfly scrub`, as a process: files and folders, what it prints, what it refuses, and what it never writes over."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from clients.cli.main import run
from tests import photos
from tests.unit.services.ingest.scrubbing import scrub


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photo.jpg").write_bytes(photos.phone_jpeg(1))
    (tmp_path / "text.jpg").write_bytes(b"%PDF-1.7 and so on")
    (tmp_path / "album" / "june").mkdir(parents=True)
    (tmp_path / "album" / "a.png").write_bytes(photos.with_chunks(photos.png(), [(1, photos.png_metadata()["text"])]))
    (tmp_path / "album" / "june" / "b.gif").write_bytes(photos.gifs()["colour"] + photos.CANARY)
    (tmp_path / "album" / ".hidden").write_bytes(b"x")
    return tmp_path


def test_one_photo_in_a_process_of_its_own(here: Path) -> None:
    command = [sys.executable, "-m", "clients.cli", "scrub", "photo.jpg", "-o", "out.jpg"]
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    ran = subprocess.run(command, capture_output=True, text=True, env=env, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.startswith("Wrote out.jpg (96 × 64). Removed: ") and "gps (" in ran.stdout
    assert (here / "out.jpg").read_bytes() == scrub(photos.phone_jpeg(1))[0]
    assert photos.CANARY.decode() not in ran.stdout


def test_an_orientation_is_applied_and_told(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "photo.jpg").write_bytes(photos.phone_jpeg(6))
    assert run(["scrub", "photo.jpg", "-o", "out.jpg"]) == 0
    said = capsys.readouterr().out
    assert "(64 × 96)" in said and "Turned upright" in said


def test_a_folder_keeps_its_shape(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["scrub", "album", "photo.jpg", "-o", "out"]) == 0
    assert sorted(str(path.relative_to(here / "out")) for path in (here / "out").rglob("*.*")) == [
        "a.png", "june/b.gif", "photo.jpg",
    ]  # fmt: skip
    assert (here / "out/a.png").read_bytes() == photos.png()
    assert photos.CANARY not in (here / "out/june/b.gif").read_bytes()
    assert capsys.readouterr().out.endswith("3 scrubbed, 0 refused.\n")


def test_a_refusal_is_one_line_and_stops_nobody_else(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["scrub", "text.jpg", "photo.jpg", "-o", "out"]) == 2
    said = capsys.readouterr()
    assert said.err.startswith("mayfly: text.jpg: This is a PDF;") and said.err.count("\n") == 1
    assert [path.name for path in (here / "out").iterdir()] == ["photo.jpg"]


def test_for_a_program(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["scrub", "text.jpg", "photo.jpg", "-o", "out", "--json"]) == 2
    said = capsys.readouterr()
    value = json.loads(said.out)
    assert (value["scrubbed"], value["refused"], said.err) == (1, 1, "")
    refused, done = value["photos"]
    assert (refused["input"], refused["error"]["reason"]) == ("text.jpg", "UNSUPPORTED_FORMAT")
    assert (done["format"], done["width"], done["orientation"], done["turned"]) == ("jpeg", 96, 1, "not needed")
    assert done["removed"]["gps"] > 0


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["photo.jpg", "-o", "photo.jpg"], "a photo itself"),
        (["photo.jpg", "-o", "link.jpg"], "a photo itself"),
        (["album", "-o", "album"], "a photo itself"),
        (["album", "photo.jpg", "-o", "."], "a photo itself"),
        (["photo.jpg", "album/../photo.jpg", "-o", "out"], "the same name"),
        (["nothing.jpg", "-o", "out.jpg"], "no such file"),
        (["empty", "-o", "out"], "no files in it"),
        (["photo.jpg"], "Missing option"),
    ],
)
def test_bad_use_touches_nothing(here: Path, args: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "empty").mkdir()
    (here / "link.jpg").symlink_to("photo.jpg")
    before = {path: path.read_bytes() for path in here.rglob("*") if path.is_file()}
    assert run(["scrub", *args]) == 3
    assert said in capsys.readouterr().err
    assert {path: path.read_bytes() for path in here.rglob("*") if path.is_file()} == before


def test_scrubbing_a_folder_into_itself_does_not_eat_its_own_output(here: Path) -> None:
    for _ in range(2):
        assert run(["scrub", "album", "-o", "album/clean"]) == 0
    assert not (here / "album/clean/clean").exists()


def test_a_refused_photo_leaves_no_file(here: Path) -> None:
    (here / "photo.jpg").write_bytes(photos.phone_jpeg()[:500])
    assert run(["scrub", "photo.jpg", "-o", "out.jpg"]) == 2
    assert sorted(path.name for path in here.iterdir()) == ["album", "photo.jpg", "text.jpg"]


def test_a_file_over_the_limit_is_not_read(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with (here / "photo.jpg").open("wb") as file:
        file.truncate(2**40)
    assert run(["scrub", "photo.jpg", "-o", "out.jpg"]) == 2
    assert "PHOTO_TOO_LARGE" in capsys.readouterr().err


def test_what_is_drawn_anew_gets_the_name_of_what_it_became(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "photo.bmp").write_bytes(photos.encode(photos.picture(), "BMP") + photos.CANARY)
    assert run(["scrub", "photo.bmp", "-o", "out", "--json"]) == 0
    (told,) = json.loads(capsys.readouterr().out)["photos"]
    assert (told["output"], told["format"], told["converted"]) == ("out.jpg", "jpeg", True)
    assert photos.CANARY not in (here / "out.jpg").read_bytes()
    assert run(["scrub", "photo.bmp", "-o", "out"]) == 3  # out.jpg could be somebody's photo
    assert "out.jpg exists" in capsys.readouterr().err
