"""How a call names its lease."""

from __future__ import annotations

import pytest

from mesh.custody.book import LeaseRef
from mesh.custody.metadata import (
    EXPIRE_TIME,
    HOLDER,
    PHOTO_ID,
    REGISTRY,
    from_metadata,
    holder_of,
    require_lease,
    to_metadata,
)
from mesh.errors import Invalid
from tests.unit.serving import new_book, new_lease, sample

ID = "0123456789abcdef0123456789abcdef"


@pytest.mark.parametrize("registry", ["", "purge-0", "a", "eu-west.purge-12", "x" * 63])
def test_there_and_back(registry: str) -> None:
    lease = LeaseRef(ID, 1_750_000_000.123, registry)
    assert from_metadata([("x", "y"), *to_metadata(lease), ("z-bin", b"\0")]) == lease


@pytest.mark.parametrize(
    "metadata",
    [
        None,
        [],
        [(PHOTO_ID, ID)],
        [(EXPIRE_TIME, "1")],
        [(PHOTO_ID, ID), (EXPIRE_TIME, "")],
        [(PHOTO_ID, ID), (EXPIRE_TIME, "-1")],
        [(PHOTO_ID, ID), (EXPIRE_TIME, "1.5")],
        [(PHOTO_ID, ID), (EXPIRE_TIME, "1e9")],
        [(PHOTO_ID, ID), (EXPIRE_TIME, "0x10")],
        [(PHOTO_ID, ID), (EXPIRE_TIME, "9" * 400)],
        [(PHOTO_ID, ID), (EXPIRE_TIME, b"1")],
        [(PHOTO_ID, ""), (EXPIRE_TIME, "1")],
        [(PHOTO_ID, ID.upper()), (EXPIRE_TIME, "1")],
        [(PHOTO_ID, ID + "\n"), (EXPIRE_TIME, "1")],
        [(PHOTO_ID, ID + "0"), (EXPIRE_TIME, "1")],
        [(PHOTO_ID, ID[:-1]), (EXPIRE_TIME, "1")],
        [(PHOTO_ID, ID[:-2] + "٣٣"), (EXPIRE_TIME, "1")],
        [(PHOTO_ID, "../" + ID[:-3]), (EXPIRE_TIME, "1")],
        [(PHOTO_ID, ID.encode()), (EXPIRE_TIME, "1")],
        [(PHOTO_ID, ID), (EXPIRE_TIME, "1"), (REGISTRY, "Purge-0")],
        [(PHOTO_ID, ID), (EXPIRE_TIME, "1"), (REGISTRY, "-purge")],
        [(PHOTO_ID, ID), (EXPIRE_TIME, "1"), (REGISTRY, "purge 0")],
        [(PHOTO_ID, ID), (EXPIRE_TIME, "1"), (REGISTRY, "purge/0")],
        [(PHOTO_ID, ID), (EXPIRE_TIME, "1"), (REGISTRY, "purge-0\n")],
        [(PHOTO_ID, ID), (EXPIRE_TIME, "1"), (REGISTRY, "x" * 64)],
    ],
)
def test_refused(metadata: list[tuple[str, str | bytes]] | None) -> None:
    with pytest.raises(Invalid):
        from_metadata(metadata)


def test_the_holder() -> None:
    assert holder_of([("a", "b"), (HOLDER, "ingest/ingest-0/00")]) == "ingest/ingest-0/00"
    assert holder_of([(HOLDER, b"ingest/x")]) == "ingest/x"
    assert holder_of(None) is None


def test_a_photo_without_a_lease_is_counted() -> None:
    book = new_book()
    assert sample(book.metrics, "mayfly_unleased_photos_total", service="ingest") == 0
    for metadata in (None, (), [(PHOTO_ID, "a" * 32)]):
        with pytest.raises(Invalid):
            require_lease(book, metadata)
    assert require_lease(book, to_metadata(new_lease()))
    assert sample(book.metrics, "mayfly_unleased_photos_total", service="ingest") == 3
