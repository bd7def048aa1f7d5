"""What a client asks for: each field at its edges."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mayfly.gateway.v1 import gateway_pb2 as pb
from mesh.errors import Invalid
from services.gateway.order import parse_start

VERSIONS = ("2026-01", "2026-11")
ID = "0f8fad5b-d9cb-469f-a165-70867728950e"


def start(**changed: Any) -> bytes:
    fields = {"request_id": ID, "scene_id": "bright_day", "policy_version": "2026-11", **changed}
    return pb.RenderRequest(start=pb.RenderStart(**fields)).SerializeToString()


def refused(message: bytes | None, reason: str, field: str) -> None:
    with pytest.raises(Invalid) as refusal:
        parse_start(message, VERSIONS)
    assert (refusal.value.reason, refusal.value.field) == (reason, field)


def test_what_is_right() -> None:
    whole = {"caption_id": "c" * 64, "locale": "l" * 35, "seed": 2**32 - 1, "nonce_commitment": bytes(32)}
    parsed = parse_start(start(**whole, byte_count=2**64 - 1), VERSIONS)
    assert (parsed.scene_id, parsed.locale, parsed.byte_count) == ("bright_day", "l" * 35, 2**64 - 1)
    assert parse_start(start(policy_version="2026-01"), VERSIONS).policy_version == "2026-01"


@pytest.mark.parametrize(
    "message",
    [
        None,
        b"",
        b"\xff",
        pb.RenderRequest(chunk=b"x").SerializeToString(),
        pb.RenderRequest(delivered=pb.Delivered()).SerializeToString(),
        start()[:-1],
        start(request_id="x").replace(b"x", b"\xff"),
    ],
)
def test_not_a_start(message: bytes | None) -> None:
    refused(message, "START_MISSING", "start")


@pytest.mark.parametrize(
    "request_id", ["", "x", ID.upper(), "{" + ID + "}", "urn:uuid:" + ID, ID.replace("-", ""), ID + "\n", " " + ID]
)
def test_a_request_id_has_one_spelling(request_id: str) -> None:
    refused(start(request_id=request_id), "REQUEST_ID", "start.request_id")


@pytest.mark.parametrize(("field", "limit"), [("scene_id", 64), ("caption_id", 64), ("locale", 35)])
def test_words_are_short(field: str, limit: int) -> None:
    refused(start(**{field: "x" * (limit + 1)}), "FIELD_TOO_LONG", f"start.{field}")


@pytest.mark.parametrize("size", [1, 31, 33, 64])
def test_a_commitment_is_a_sha256(size: int) -> None:
    refused(start(nonce_commitment=bytes(size)), "NONCE_COMMITMENT_SIZE", "start.nonce_commitment")


@pytest.mark.parametrize("version", ["", "2025-01", "2026-11 ", "2027-01"])
def test_the_policy_that_was_consented_to(version: str) -> None:
    refused(start(policy_version=version), "POLICY_VERSION", "start.policy_version")


def test_fields_of_another_version() -> None:
    unknown = b"\xc2\x3e\x01x"  # field 1000
    inside = pb.RenderStart(request_id=ID, policy_version="2026-11").SerializeToString() + unknown
    wrapped = b"\x82\x01" + bytes((len(inside),)) + inside
    refused(wrapped, "UNKNOWN_FIELD", "start")
    refused(start() + unknown, "UNKNOWN_FIELD", "start")


@given(st.binary(max_size=200))
def test_any_bytes_are_parsed_or_refused(message: bytes) -> None:
    with pytest.raises(Invalid):
        parse_start(message, VERSIONS)
