"""The few messages that the gateway reads or writes itself, as bytes; everything else passes through unread."""

from __future__ import annotations

from google.protobuf.message import DecodeError
from google.protobuf.timestamp_pb2 import Timestamp

from mayfly.gateway.v1 import gateway_pb2 as pb
from mayfly.photo.v1 import photo_pb2 as photo
from mesh import frames
from mesh.custody.book import LeaseRef

PROGRESS = 4
"""PhotoFrame.progress."""
REPLAY: bytes = photo.PhotoFrame(replay=photo.Replay()).SerializeToString()
"""Asks render for the picture once more."""


def accepted(lease: LeaseRef, *, request_id: str, resume_token: str, max_photo_bytes: int) -> bytes:
    """The lease exists."""
    expire_time = Timestamp()
    expire_time.FromMilliseconds(int(lease.expire_time * 1000))
    message = pb.Accepted(
        request_id=request_id,
        photo_id=lease.photo_id,
        expire_time=expire_time,
        resume_token=resume_token,
        max_photo_bytes=max_photo_bytes,
        max_chunk_bytes=frames.MAX_CHUNK_BYTES,
    )
    return pb.RenderResponse(accepted=message).SerializeToString()


def scrubbed(seal: bytes) -> bytes:
    """What was removed, from the frame in which ingest attests it."""
    attestation = photo.PhotoFrame.FromString(seal).seal.attestation
    header = photo.ScrubbedHeader.FromString(attestation.scrubbed_header)
    return pb.RenderResponse(scrubbed=header).SerializeToString()


def receipt(photo_id: str, bundle: bytes) -> bytes:
    """The last message of Render and, being the same field there, of Collect."""
    return pb.RenderResponse(receipt=pb.Receipt(photo_id=photo_id, bundle=bundle)).SerializeToString()


def is_delivered(message: bytes | None) -> bool:
    """Whether the client says that the picture is safe with it."""
    try:
        return bool(pb.RenderRequest.FromString(message or b"").WhichOneof("message") == "delivered")
    except DecodeError:
        return False
