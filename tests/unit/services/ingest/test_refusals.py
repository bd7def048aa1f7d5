"""Each reason for a refusal is met by some file, and the page that lists them is complete."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from services.ingest.limits import Limits
from services.ingest.refusals import Reason
from tests import photos
from tests.unit.services.ingest.scrubbing import refusal

ROOT = Path(__file__).parents[4]
GIF = photos.gif_parts(photos.gifs()["colour"])
MET: dict[str, tuple[bytes, Limits]] = {
    "EMPTY_PHOTO": (b"", Limits()),
    "UNSUPPORTED_FORMAT": (b"%PDF-1.7", Limits()),
    "UNSUPPORTED_CODING": (photos.jpeg().replace(b"\xff\xc0", b"\xff\xc3"), Limits()),
    "TRUNCATED_PHOTO": (photos.jpeg()[:-20], Limits()),
    "MALFORMED_PHOTO": (photos.jpeg()[:20] + b"stray" + photos.jpeg()[20:], Limits()),
    "PHOTO_TOO_LARGE": (photos.jpeg(), Limits(max_bytes=100)),
    "DIMENSION_TOO_LARGE": (photos.jpeg(), Limits(max_dimension=47)),
    "TOO_MANY_PIXELS": (photos.jpeg(), Limits(max_pixels=1000)),
    "TOO_MANY_SEGMENTS": (photos.jpeg(), Limits(max_segments=3)),
    "TOO_MANY_SCANS": (photos.jpeg(progressive=True), Limits(max_scans=2)),
    "TOO_MANY_FRAMES": (b"".join([GIF[0], GIF[1], GIF[1], GIF[2]]), Limits(max_frames=1)),
}


@pytest.mark.parametrize("reason", sorted(MET))
def test_a_reason_is_met(reason: str) -> None:
    data, limits = MET[reason]
    refused = refusal(data, limits=limits)
    assert refused.reason == reason
    assert refused.field is not None and refused.field.startswith("photo")
    assert refused.message.endswith(".") and len(refused.message) > 20


def test_the_page_lists_every_reason_with_its_limit() -> None:
    page = (ROOT / "docs/scrubbing.md").read_text()
    listed = re.findall(r"^\| `([A-Z_]+)` \|", page, re.MULTILINE)
    assert set(listed) >= set(Reason)
    assert len(listed) == len(set(listed))
    for name in Limits.__dataclass_fields__:
        if name.startswith("max_"):
            assert f"`{name}`" in page, name


def test_the_api_page_lists_every_reason() -> None:
    page = (ROOT / "docs/api.md").read_text()
    assert [reason for reason in (*Reason, "SCRUB_DISAGREEMENT") if f"`{reason}`" not in page] == []
