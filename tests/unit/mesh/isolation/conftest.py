"""Workers that run ``hostile`` on whatever they are given."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from prometheus_client import CollectorRegistry

from mesh.errors import Invalid
from mesh.isolation.metrics import IsolationMetrics
from mesh.isolation.outcome import Outcome
from mesh.isolation.workers import Workers

MIB = 1 << 20
ERRORS = {name: lambda name=name: Invalid(name.upper(), "No.") for name in ("crashed", "not_today", "out_of_memory")}


@dataclass
class Pool:
    """Workers with what they have counted."""

    workers: Workers
    registry: CollectorRegistry

    async def ask(self, name: str, *parts: bytes, seconds: float = 20.0) -> bytes:
        return bytes(await self.workers.run([name.encode(), *parts], seconds=seconds))

    def counted(self) -> dict[str, int]:
        """Outcomes that occurred."""
        found = {
            outcome.value: self.registry.get_sample_value(
                "mayfly_isolation_jobs_total", {"service": "ingest", "outcome": outcome.value}
            )
            for outcome in Outcome
        }
        return {name: int(count) for name, count in found.items() if count}


def new_pool(module: str = "tests.unit.mesh.isolation.hostile", *, children: int = 2) -> Pool:
    registry = CollectorRegistry()
    workers = Workers(
        module,
        children=children,
        memory_bytes=256 * MIB,
        answer_bytes=8 * MIB,
        errors=ERRORS,
        metrics=IsolationMetrics(registry, "ingest"),
    )
    return Pool(workers, registry)


@pytest.fixture
async def pool() -> AsyncIterator[Pool]:
    made = new_pool()
    await made.workers.start()
    yield made
    await made.workers.stop()
