"""Worlds that run: with an engine that waits, and with one that doesn't."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.unit.services.render.servicer.world import (
    SteppedEngine,
    World,
    running,
)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with running() as world:
        yield world


@pytest.fixture
async def quick() -> AsyncIterator[World]:
    """With an engine that waits for nobody."""
    engine = SteppedEngine()
    engine.waits = False
    async with running(engine) as world:
        yield world
