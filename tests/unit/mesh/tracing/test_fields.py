"""R7 for spans: what isn't on the list is not set, wherever it hides, but counted."""

from __future__ import annotations

import pytest

from mesh.tracing import fields
from tests.unit.serving import CANARY

PHOTO = "0123456789abcdef0123456789abcdef"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("user", CANARY),
        ("file_name", "a"),
        ("photo_id", CANARY),
        ("photo_id", PHOTO.upper()),
        ("photo_id", PHOTO.encode()),
        ("scene_id", CANARY),
        ("scene_id", "two words"),
        ("scene_id", "bright_day\n"),
        ("reason", "it was somebody"),
        ("error_type", "ValueError: text"),
        ("rpc_service", "127.0.0.1"),
        ("rpc_method", f"/{CANARY}"),
        ("rpc_status", "0"),
        ("rpc_status", True),
        ("rpc_status", 3.5),
        ("rpc_status", 4_000_000),
        ("rpc_status", -1),
        ("outcome", None),
        ("outcome", ValueError(CANARY)),
    ],
)
def test_withheld_and_counted(key: str, value: object) -> None:
    before = fields.withheld
    assert fields.allowed({key: value}) == {}
    assert fields.withheld == before + 1


@pytest.mark.parametrize(
    ("key", "value", "attribute"),
    [
        ("photo_id", PHOTO, "mayfly.photo_id"),
        ("scene_id", "bright_day", "mayfly.scene_id"),
        ("reason", "LEASE_EXPIRED", "mayfly.reason"),
        ("error_type", "ValueError", "error.type"),
        ("rpc_service", "mayfly.ingest.v1.IngestService", "rpc.service"),
        ("rpc_status", 14, "rpc.grpc.status_code"),
        ("rpc_status", 0, "rpc.grpc.status_code"),
    ],
)
def test_allowed(key: str, value: object, attribute: str) -> None:
    before = fields.withheld
    assert fields.allowed({key: value}) == {attribute: value}
    assert fields.withheld == before


@pytest.mark.parametrize("name", ["journey", "cut_out", "mayfly.ingest.v1.IngestService/Scrub"])
def test_names(name: str) -> None:
    assert fields.name(name) == name


@pytest.mark.parametrize("name", [CANARY, "two words", "photo of jane", "", "/x/y", "127.0.0.1:80", "a" * 100])
def test_other_names(name: str) -> None:
    before = fields.withheld
    assert fields.name(name) == "withheld"
    assert fields.withheld == before + 1
