"""The functions and the state machine agree, whatever steps come."""

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mesh.testing.valkey import ValkeyServer
from services.purge.address import RedisAddress
from services.purge.lease import End, Lease, Outcome, State, WrongState
from services.purge.link import Link
from services.purge.registry import Claimed, Registry, Reply, Report
from tests.unit.services.purge.registry.facts import DAY, DIGEST, ME, NOW, OWNER, H
from tests.unit.services.purge.world import a_grant


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(
    st.sampled_from(["H", "R", "L", "park", "claim", "return", "decide"]), st.sampled_from([H, "render/r/x"]),
    st.integers(1, 12), st.sampled_from(list(Outcome)),
), min_size=1, max_size=25))  # fmt: skip
def test_the_functions_and_the_state_machine_agree(shared_valkey: ValkeyServer, steps: list[Any]) -> None:
    asyncio.run(_agree(shared_valkey, steps))


async def _agree(server: ValkeyServer, steps: list[Any]) -> None:
    registry = Registry(Link(RedisAddress(server.url)))
    try:
        grant, model = a_grant(), Lease()
        await registry.grant(grant, DAY)
        for kind, holder, ordinal, outcome in steps:
            model = await _step(registry, grant.photo_id, model, kind, holder, ordinal, outcome)
            record = await registry.read(grant.photo_id)
            assert record is not None
            assert record.lease == model
    finally:
        await registry.link.close()


async def _step(
    registry: Registry, id_: str, model: Lease, kind: str, holder: str, ordinal: int, outcome: Outcome
) -> Lease:
    if kind in "HRL":
        [state] = (await registry.custody([Report(id_, holder, kind, ordinal, 5)])).values()
        released = model.release(holder, ordinal, 5)
        after = {"H": model.hold(holder, ordinal), "R": released, "L": model.lose(holder)}[kind]
        assert state == after.state
        return after
    if kind == "decide":
        await registry.decide(id_, outcome, "test", NOW)
        return model.decide(End(outcome, "test", NOW))
    try:
        after = {
            "park": model.park,
            "claim": lambda: model.claim(ME),
            "return": lambda: model.return_claim(ME),
        }[kind]()
    except WrongState:
        after = model
    if kind == "park":
        won = await registry.park_begin(id_, NOW, []) is Reply.OK and await registry.park_seal(id_, NOW, 0) is Reply.OK
    elif kind == "claim":
        won = isinstance(await registry.claim(id_, NOW, DIGEST, ME, [OWNER]), Claimed)
    else:
        won = await registry.return_claim(id_, NOW, DIGEST, ME) is Reply.OK
    assert won == (after is not model or (kind == "claim" and model.state is State.CLAIMED))
    return after
