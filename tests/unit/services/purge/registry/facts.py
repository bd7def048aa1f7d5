"""What the tests of the registry have in common."""

from __future__ import annotations

from services.purge.registry import Registry, Reply
from tests.unit.services.purge.world import SECRET, a_grant, sha256

NOW = 1_000_000.0
DIGEST = sha256(SECRET)
OWNER = "0" * 32
H = "ingest/ingest-0/aa"
ME, ANOTHER = "aa" * 16, "bb" * 16
DAY = "2026-11-23"


async def parked_by(registry: Registry, segments: list[bytes]) -> str:
    grant = a_grant()
    await registry.grant(grant, DAY)
    await registry.park_begin(grant.photo_id, NOW, [])
    for index, segment in enumerate(segments):
        assert await registry.park_segment(grant.photo_id, NOW, index, 1 << 20, segment) is Reply.OK
    assert await registry.park_seal(grant.photo_id, NOW, len(segments)) is Reply.OK
    return grant.photo_id
