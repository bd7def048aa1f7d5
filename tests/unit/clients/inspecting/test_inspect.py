"""`mayfly inspect`: what it says of our pictures, of changed ones, of strangers', and of files that are none."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from clients.cli.exits import ExitCode
from clients.cli.main import run
from clients.inspecting.inspect import MAX_BYTES, MAX_PIXELS, inspect
from clients.inspecting.report import ABSENT
from mesh.errors import Invalid
from services.render.marking.source_type import SourceType
from tests.photos import planted_jpeg
from tests.unit.services.render.marking.marks import jpeg, marked, pixels, signer_files


def _stripped(data: bytes, quality: int = 80) -> bytes:
    """As a messenger sends it on: pixels only, compressed again, at half the size."""
    image = Image.open(io.BytesIO(data))
    out = io.BytesIO()
    small = image.resize((image.width // 2, image.height // 2))
    Image.frombytes("RGB", small.size, small.tobytes()).save(out, "JPEG", quality=quality)
    return out.getvalue()


def _flowing(table: str) -> str:
    return " ".join(re.sub(r"[^\x20-\x7e]", " ", table).split())


def _run(tmp_path: Path, data: bytes, *more: str) -> int:
    file = tmp_path / "picture.jpg"
    file.write_bytes(data)
    return run(["inspect", str(file), *more])


@pytest.mark.parametrize("made", list(SourceType))
def test_a_picture_of_ours(made: SourceType) -> None:
    report = inspect(marked(made))
    signed, mark = report.credentials, report.watermark
    assert signed is not None and mark is not None
    assert (signed.state, signed.problems) == ("valid", ("signingCredential.untrusted",))
    assert signed.development and signed.generator.startswith("mayfly ")
    assert signed.actions == ("c2pa.created", "c2pa.watermarked.unbound")
    assert (signed.source_types, report.metadata.source_type, mark.source_type) == ((made,), made, made)
    assert report.carries == dict.fromkeys(ABSENT, False)


def test_it_is_told_to_a_person(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(tmp_path, marked()) == ExitCode.OK
    said = _flowing(capsys.readouterr().out)
    for words in ("not to be trusted", "development certificate", "edited using generative AI", "It says what it is."):
        assert words in said


def test_it_is_told_to_a_program(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(tmp_path, marked(SourceType.ALTERED), "--json") == ExitCode.OK
    said: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert said["marked"] is True and said["credentials"]["state"] == "valid"
    assert said["digital_source_type"] == said["watermark"]["source_type"] == "algorithmicallyEnhanced"
    assert not any(said["carries"].values())


def test_changed_pixels_are_seen(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = bytearray(marked())
    data[-300] ^= 1
    assert _run(tmp_path, bytes(data)) == ExitCode.NOT_VERIFIED
    said = _flowing(capsys.readouterr().out)
    assert "NOT VALID" in said and "the picture was changed" in said


def test_the_watermark_is_left_where_the_rest_was_stripped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = _stripped(marked(), quality=70)
    assert b"c2pa" not in data and b"DigitalSourceType" not in data
    assert _run(tmp_path, data, "--json") == ExitCode.OK
    said = json.loads(capsys.readouterr().out)
    assert said["credentials"] is None and said["digital_source_type"] is None
    assert said["watermark"]["source_type"] == "compositeWithTrainedAlgorithmicMedia"


def test_nothing_is_found_where_nothing_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(tmp_path, jpeg(pixels())) == ExitCode.NOT_FOUND
    assert "marks can be removed" in capsys.readouterr().out


def test_a_signer_that_one_trusts(tmp_path: Path) -> None:
    from services.render.marking import xmp
    from services.render.marking.credentials import Credentials

    chain, key = signer_files(tmp_path)
    made = SourceType.ALTERED
    data = Credentials.load(chain, key).sign(xmp.marked(jpeg(pixels()), made), made)
    root = "-----BEGIN CERTIFICATE-----" + chain.read_text().rpartition("-----BEGIN CERTIFICATE-----")[2]
    for anchors, state in (("", "valid"), (root, "trusted")):
        report = inspect(data, anchors=anchors)
        assert report.credentials is not None
        assert report.credentials.state == state


def test_what_others_put_into_a_photo_is_listed(tmp_path: Path) -> None:
    data, _ = planted_jpeg(jpeg(pixels()))
    report = inspect(data)
    carried = {kind for kind, there in report.carries.items() if there}
    assert {"exif", "gps", "times"} <= carried
    assert not report.marked


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "NOT_A_PICTURE"),
        (b"not a picture", "NOT_A_PICTURE"),
        (b"\xff\xd8\xff\xe0\x00", "NOT_A_PICTURE"),
        (jpeg(pixels())[:2000], "NOT_A_PICTURE"),
        (b"GIF89a" + bytes(20), "NOT_A_PICTURE"),
        (bytes(MAX_BYTES + 1), "PICTURE_TOO_LARGE"),
    ],
    ids=["empty", "text", "header", "half", "another format", "huge"],
)
def test_a_file_that_is_no_picture(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], data: bytes, reason: str
) -> None:
    assert _run(tmp_path, data) == ExitCode.REFUSED
    told = capsys.readouterr()
    assert told.err.startswith("mayfly: ") and told.err.endswith(f"({reason})\n") and told.err.count("\n") == 1


def test_a_picture_of_too_many_pixels_is_not_decoded() -> None:
    out = io.BytesIO()
    Image.new("1", (10_000, MAX_PIXELS // 10_000 + 1)).save(out, "PNG")
    with pytest.raises(Invalid, match="PICTURE_TOO_LARGE"):
        inspect(out.getvalue())


@pytest.mark.parametrize("at", ["jumb", "jumd", "c2cl", "cbor"])
def test_broken_credentials_are_one_line_or_invalid(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], at: str
) -> None:
    whole = marked()
    place = whole.index(at.encode())
    data = whole[:place] + b"\xff\xff\xff\xff" + whole[place + 4 :]
    code = _run(tmp_path, data)
    told = capsys.readouterr()
    assert code in (ExitCode.REFUSED, ExitCode.NOT_VERIFIED)
    assert told.err == "" if code == ExitCode.NOT_VERIFIED else "CREDENTIALS_MALFORMED" in told.err


def test_wrong_use_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["inspect", str(tmp_path / "nowhere.jpg")]) == ExitCode.USAGE
    assert _run(tmp_path, jpeg(pixels()), "--trust", str(tmp_path / "picture.jpg")) == ExitCode.USAGE
    assert capsys.readouterr().err.count("\n") == 2


def test_a_strangers_words_do_not_reach_the_terminal_raw(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    packet = b'<x Iptc4xmpExt:DigitalSourceType="http://x/\x1b[31mred[bold]"/>'
    content = b"http://ns.adobe.com/xap/1.0/\0" + packet
    plain = jpeg(pixels())
    data = plain[:20] + b"\xff\xe1" + (len(content) + 2).to_bytes(2, "big") + content + plain[20:]
    assert _run(tmp_path, data) == ExitCode.OK
    assert "\x1b[31m" not in capsys.readouterr().out
