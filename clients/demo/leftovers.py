"""Looking for what should not be there any more: planted bytes in what came out, keys of photos in Valkey."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from redis import Redis

_RECEIPTS = b"receipt:"


def planted_in(data: bytes, canaries: Mapping[str, bytes]) -> list[str]:
    """The names of the canaries that ``data`` holds."""
    return [name for name, value in canaries.items() if value in data]


def planted_below(folder: Path, canaries: Mapping[str, bytes]) -> list[str]:
    """The canaries in any file that the mesh wrote: its logs, its receipt log, its state."""
    found = [planted_in(path.read_bytes(), canaries) for path in folder.rglob("*") if path.is_file()]
    return sorted({name for names in found for name in names})


def keys_of(photo_ids: Iterable[str], valkey_url: str) -> int:
    """How many keys of these photos Valkey holds, their receipts (which go after an hour) aside."""
    wanted = [photo_id.encode() for photo_id in photo_ids]
    with Redis.from_url(valkey_url, protocol=2) as valkey:
        keys = [bytes(key) for key in valkey.scan_iter(count=1000)]
    return sum(1 for key in keys if not key.startswith(_RECEIPTS) and any(photo_id in key for photo_id in wanted))
