"""The names of all keys that Mayfly writes. Keys that one transition touches share a hash tag, so they share a slot."""

from __future__ import annotations

import re
from typing import NamedTuple

SHARDS = 256
LEADER, TERM = "leader:{reaper}", "term:{reaper}"
"""Which replica of purge is the reaper's leader, and for the how manieth time there is a new one."""
_PHOTO_ID = re.compile(r"^[0-9a-f]{32}$")
_SHAPE = re.compile(
    rb"^(?:(?:lease|parked|receipt):\{[0-9a-f]{2}\}:[0-9a-f]{32}|(?:due|marker):\{[0-9a-f]{2}\}"
    rb"|owner:[0-9a-f]{32}|quota:[0-9a-f]{32}:\d{4}-\d\d-\d\d|pseudonym-key:\d{4}-\d\d-\d\d"
    rb"|replica:\{reaper\}:[a-z0-9][a-z0-9.-]{0,62}|(?:leader|term):\{reaper\})$"
)


class PhotoKeys(NamedTuple):
    """The keys of one photo."""

    lease: str
    parked: str
    due: str
    receipt: str


def is_photo_id(value: str) -> bool:
    """32 lowercase hex digits."""
    return _PHOTO_ID.fullmatch(value) is not None


def of_photo(photo_id: str) -> PhotoKeys:
    """The shard is the photo_id's first byte; photo_ids are random, so shards fill evenly."""
    shard = f"{{{photo_id[:2]}}}"
    tail = f"{shard}:{photo_id}"
    return PhotoKeys(f"lease:{tail}", f"parked:{tail}", f"due:{shard}", f"receipt:{tail}")


def due(shard: int) -> str:
    """Sorted set photo_id → expire_time (Unix ms) of one shard."""
    return f"due:{{{shard:02x}}}"


def marker(shard: int) -> str:
    """Says, by still being there, that the server of this shard has lost nothing."""
    return f"marker:{{{shard:02x}}}"


def replica(name: str) -> str:
    """Says that a replica of purge lives. All in one slot: whoever still sees its own has not lost another's."""
    return f"replica:{{reaper}}:{name}"


def owner(pseudonym: str) -> str:
    return f"owner:{pseudonym}"


def quota(pseudonym: str, day: str) -> str:
    """``day``: YYYY-MM-DD, UTC."""
    return f"quota:{pseudonym}:{day}"


def pseudonym_key(day: str) -> str:
    return f"pseudonym-key:{day}"


def is_ours(key: bytes) -> bool:
    """Whether a key has the shape of one that Mayfly writes."""
    return _SHAPE.fullmatch(key) is not None
