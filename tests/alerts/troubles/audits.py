"""What the auditor finds, or doesn't."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.alerts.site import Site
from tests.deploy.programs import ROOT


@asynccontextmanager
async def ingest_keeps_photos(site: Site) -> AsyncIterator[None]:
    """A variant of ingest that keeps what passes through it (tests/leaks)."""
    assert site.auditor is not None
    site.auditor.kill()
    await site.restart("ingest", PYTHONPATH=f"{ROOT / 'tests/leaks/keeping'}:{ROOT}")
    site.auditor.start()
    try:
        yield
    finally:
        site.auditor.kill()
        await site.restart("ingest")
        site.auditor.start()
    await site.auditor.audited("clean")


@asynccontextmanager
async def auditor_is_dead(site: Site) -> AsyncIterator[None]:
    assert site.auditor is not None
    site.auditor.kill()
    try:
        yield
    finally:
        site.auditor.start()
