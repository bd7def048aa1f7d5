"""What Redis still has of a photo."""

from __future__ import annotations

from typing import Any

from services.purge import keys


def remains(admin: Any, photo_id: str) -> list[bytes]:
    """Keys of one photo, its receipt's apart."""
    k = keys.of_photo(photo_id)
    found = [key for key in (k.lease, k.parked) if admin.exists(key)]
    return found + [k.due] * (admin.zscore(k.due, photo_id) is not None)
