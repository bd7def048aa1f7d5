"""What a client asks for, checked field by field before there is a lease."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from google.protobuf import unknown_fields
from google.protobuf.message import DecodeError

from mayfly.gateway.v1 import gateway_pb2 as pb
from mesh.errors import Invalid

_COMMITMENT_BYTES = 32
_MAX_WORD = 64
_MAX_LOCALE = 35  # RFC 5646 section 4.4.1

Start = pb.RenderStart
CONSENT = "POLICY_VERSION"
"""The reason of a refusal for want of a consent that holds."""


class PhotoFirst(Invalid):
    """A client has sent a piece of its photo before it asked for a lease."""


def parse_start(message: bytes | None, policy_versions: Sequence[str]) -> pb.RenderStart:
    """The first message of a Render call. Invalid with the field that is wrong, PhotoFirst."""
    try:
        request = pb.RenderRequest.FromString(message or b"")
    except DecodeError:
        request = pb.RenderRequest()
    kind = request.WhichOneof("message")
    if kind != "start":
        refusal = PhotoFirst if kind == "chunk" else Invalid
        raise refusal("START_MISSING", "The first message must be `start`.", field="start")
    start = request.start
    if len(unknown_fields.UnknownFieldSet(request)) or len(unknown_fields.UnknownFieldSet(start)):
        raise Invalid("UNKNOWN_FIELD", "`start` has a field that this version doesn't know; remove it.", field="start")
    _check_request_id(start.request_id)
    _check_word("scene_id", start.scene_id, _MAX_WORD)
    _check_word("caption_id", start.caption_id, _MAX_WORD)
    _check_word("locale", start.locale, _MAX_LOCALE)
    if len(start.nonce_commitment) not in (0, _COMMITMENT_BYTES):
        raise Invalid(
            "NONCE_COMMITMENT_SIZE",
            "The commitment is a SHA-256: 32 bytes, or none.",
            field="start.nonce_commitment",
            limit=_COMMITMENT_BYTES,
        )
    if start.policy_version not in policy_versions:
        raise Invalid(
            CONSENT,
            f"Ask for consent to the privacy policy's version {policy_versions[-1]}, then try again.",
            field="start.policy_version",
        )
    return start


def _check_request_id(value: str) -> None:
    try:
        canonical = str(uuid.UUID(value)) == value
    except ValueError:
        canonical = False
    if not canonical:
        raise Invalid("REQUEST_ID", "The request id must be a UUID in lowercase.", field="start.request_id")


def _check_word(field: str, value: str, limit: int) -> None:
    if len(value) > limit:
        raise Invalid("FIELD_TOO_LONG", f"`{field}` is too long.", field=f"start.{field}", limit=limit)
