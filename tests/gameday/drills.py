"""The three runbooks that a game day walks: a key in Redis, a dead service, a photo that nobody lets go of."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from mayfly.gateway.v1 import gateway_pb2 as pb
from mesh.errors import MeshError
from mesh.testing.wait import eventually
from tests.gameday.drill import Drill, Step
from tests.gameday.hands import WITHIN, Hands

_KEY = "session:42"


# --- somebody else's key ---


@asynccontextmanager
async def _another_application_writes(hands: Hands) -> AsyncIterator[None]:
    await hands.redis("SET", _KEY, "somebody else's")
    yield


async def _keyspace(hands: Hands) -> str:
    space = (await hands.redis("INFO", "keyspace"))["db0"]
    assert space["keys"] > space["expires"], space
    return f"{space['keys']} keys, {space['expires']} of them with a TTL"


async def _without_ttl(hands: Hands) -> str:
    _, names = await hands.redis("SCAN", "0", "COUNT", "1000")
    endless = [name.decode() for name in names if await hands.redis("PTTL", name) == -1]
    assert endless == [_KEY], endless
    return f"-1 for {_KEY}, which is of no kind of Mayfly's"


async def _unlink(hands: Hands) -> str:
    assert await hands.redis("UNLINK", _KEY) == 1
    return f"{_KEY} is gone"


# --- a service that is dead ---


@asynccontextmanager
async def _ingest_dies(hands: Hands) -> AsyncIterator[None]:
    await hands.site.kill("ingest")
    yield


async def _up(hands: Hands) -> str:
    down = {labels["job"] for labels, value in await hands.query("up") if value == 0}
    assert down == {"ingest"}, down
    return "0 for ingest, 1 for the others"


async def _restart_ingest(hands: Hands) -> str:
    await hands.site.restart("ingest")
    return "ingest, at its place"


# --- a photo that nobody lets go of ---


@asynccontextmanager
async def _render_hangs(hands: Hands) -> AsyncIterator[None]:
    """With a photo that is taken back; then its lease ends."""
    async with hands.site.phone() as phone:
        (upload,) = await hands.site.pictures(phone, 1, ttl=4.0)
        hands.site.signal("render", signal.SIGSTOP)
        with suppress(MeshError):
            await phone.ask("Revoke", pb.RevokeRequest(photo_id=upload.accepted.photo_id))
        yield


async def _listed(hands: Hands) -> str:
    (stuck,) = await hands.stuck()
    assert stuck["holder"].startswith("render/"), stuck
    return f"one photo, at {stuck['holder'].rpartition('/')[0]}"


async def _counted(hands: Hands) -> str:
    found = [labels["service"] for labels, value in await hands.query("mayfly_leases_irrevocable > 0") if value == 1]
    assert found == ["render"], found
    return "1 at render"


async def _restart_render(hands: Hands) -> str:
    await hands.site.kill("render")  # it can't end by itself
    await hands.site.restart("render")
    return "another process is at render's place"


async def _none_listed(hands: Hands) -> str:
    async def empty() -> bool:
        return not await hands.stuck()

    await eventually(empty, within=WITHIN, every=0.2)
    return "yes"


DRILLS = (
    Drill(
        alert="MayflyKeyWithoutTtl",
        story="another application uses the mesh's Redis",
        cause=_another_application_writes,
        confirm=(Step("`INFO keyspace`", _keyspace), Step("`SCAN`, then `PTTL` for each", _without_ttl)),
        remedy=Step("Delete the keys (`UNLINK`)", _unlink),
        close=(Step("The gauge is 0", lambda hands: hands.until("mayfly_registry_keys_without_ttl", 0)),),
    ),
    Drill(
        alert="MayflyServiceDown",
        story="ingest is dead",
        cause=_ingest_dies,
        confirm=(Step("`up` by job", _up),),
        remedy=Step("Restart it.", _restart_ingest),
        close=(
            Step("`up` is 1", lambda hands: hands.until("up", 1)),
            Step("`/readyz` of each service answers 200", lambda hands: hands.ready()),
            Step("one render passes (`mayfly render`)", lambda hands: hands.render()),
        ),
    ),
    Drill(
        alert="MayflyLeaseIrrevocable",
        story="render hangs with a photo that was taken back, past the end of its lease",
        cause=_render_hangs,
        confirm=(
            Step("`mayfly purge --list`", _listed),
            Step("`mayfly_leases_irrevocable` counts by service", _counted),
        ),
        remedy=Step("Restart that process at its place", _restart_render),
        close=(Step("`mayfly purge --list` is empty", _none_listed),),
    ),
)
