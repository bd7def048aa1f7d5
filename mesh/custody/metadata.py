"""How a photo's ids travel beside its frames: gRPC metadata."""

from __future__ import annotations

from collections.abc import Iterable

from mesh.custody.book import CustodyBook, LeaseRef
from mesh.errors import Invalid

PHOTO_ID = "mayfly-photo-id"
EXPIRE_TIME = "mayfly-expire-time"
"""Unix milliseconds, decimal."""
REGISTRY = "mayfly-registry"
"""The replica of purge that keeps the lease; absent when that isn't known."""
HOLDER = "mayfly-holder"
"""``service/instance/epoch`` of the process that answers."""

Metadata = Iterable[tuple[str, str | bytes]]


def from_metadata(metadata: Metadata | None) -> LeaseRef:
    """The lease that a call names. Invalid if it names none."""
    found = {
        key: value
        for key, value in metadata or ()
        if key in (PHOTO_ID, EXPIRE_TIME, REGISTRY) and isinstance(value, str)
    }
    expire = found.get(EXPIRE_TIME, "")
    if not expire.isdecimal() or len(expire) > 15:
        raise Invalid("LEASE_MISSING", "The call must name its lease in its metadata.", field=EXPIRE_TIME)
    return LeaseRef(found.get(PHOTO_ID, ""), int(expire) / 1000, found.get(REGISTRY, ""))


def require_lease(book: CustodyBook, metadata: Metadata | None) -> LeaseRef:
    """As ``from_metadata``, for a call that brings a photo: one without a lease is counted (R1)."""
    try:
        return from_metadata(metadata)
    except Invalid:
        book.unleased()
        raise


def to_metadata(lease: LeaseRef) -> tuple[tuple[str, str], ...]:
    """The other way round."""
    named = ((REGISTRY, lease.registry),) if lease.registry else ()
    return ((PHOTO_ID, lease.photo_id), (EXPIRE_TIME, str(int(lease.expire_time * 1000))), *named)


def holder_of(metadata: Metadata | None) -> str | None:
    """Which process answered, if it said so."""
    for key, value in metadata or ():
        if key == HOLDER:
            return value if isinstance(value, str) else value.decode("ascii", "replace")
    return None
