"""What the mesh answers, as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from mayfly.photo.v1 import photo_pb2


@dataclass(frozen=True, slots=True)
class Progress:
    """stage: "uploading", "queued", "rendering" or "downloading". step: the recipe's, while rendering, or "".

    fraction: 0.0 to 1.0 of the stage; None when the total is not known.
    queue_position: while queued, 1 is next. remaining: seconds until the picture can be expected; None: not known.
    """

    stage: str
    step: str
    fraction: float | None
    queue_position: int = 0
    remaining: float | None = None


@dataclass(frozen=True, slots=True)
class Lease:
    """The mesh's permission to hold the photo. resume_token: opens the parked picture; keep it secret.

    nonce: shows whose receipt it will be; empty if that is not known any more.
    claimant: by which the parked picture's collector is known again; empty: a new one for each collection.
    """

    photo_id: str
    expire_time: datetime
    resume_token: str
    nonce: bytes = b""
    claimant: bytes = b""


@dataclass(frozen=True, slots=True)
class Scrubbed:
    """What ingest found. removed: kind of metadata -> bytes; kinds may nest ("gps" lies inside "exif")."""

    format: str
    width: int
    height: int
    removed: Mapping[str, int]

    @classmethod
    def parse(cls, header: photo_pb2.ScrubbedHeader) -> Scrubbed:
        name = photo_pb2.PhotoFormat.Name(header.format).removeprefix("PHOTO_FORMAT_").lower()
        removed = {item.kind: item.byte_count for item in header.removed}
        return cls(name, header.width, header.height, removed)


@dataclass(frozen=True, slots=True)
class Picture:
    """A whole picture: its bytes were counted against its seal."""

    data: bytes
    media_type: str
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Result:
    """What a render came to.

    receipt:   the receipt bundle, JSON; None when the connection broke after the picture had arrived. `get_receipt`
               has it once the lease has ended.
    scrubbed:  None for a collected picture.
    nonce:     32 bytes that show whose receipt it is; empty after `collect`, whose caller has them.
    """

    photo_id: str
    picture: Picture
    receipt: bytes | None
    scrubbed: Scrubbed | None
    nonce: bytes


@dataclass(frozen=True, slots=True)
class Revoked:
    """receipts: of the leases that have ended. pending: photo_ids whose holders have not all confirmed yet."""

    receipts: tuple[bytes, ...]
    pending: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Scene:
    """One entry of the catalogue.

    kind: "milestone", "portrait" or "enhance". captions: id -> text. min_side: px, of a photo that it takes.
    cost: "light", "standard" or "heavy". preview: a small picture, if it was asked for and there is one.
    """

    scene_id: str
    kind: str
    title: str
    captions: Mapping[str, str]
    min_side: int
    cost: str = ""
    preview: bytes = b""
    preview_media_type: str = ""
