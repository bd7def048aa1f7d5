"""Faults that only code can have, by service: each is a mistake that somebody could make. Runs inside the service."""

from __future__ import annotations

import importlib
import threading
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

from prometheus_client import CollectorRegistry

from mesh.app import App
from mesh.errors import Invalid
from mesh.isolation.workers import Workers
from mesh.lockdown.locking import Lockdown
from mesh.log import get_logger

Switch = Callable[[bool], Awaitable[None]]
T = TypeVar("T")
_MIB = 1 << 20


def of(service: str, app: App, lockdown: Lockdown) -> Mapping[str, Switch]:
    """The switches of one service's process."""
    makers: Mapping[str, Callable[[App, Lockdown], Mapping[str, Switch]]] = {
        "ingest": _ingest,
        "purge": _purge,
        "render": _render,
    }
    return makers[service](app, lockdown) if service in makers else {}


def _ingest(_app: App, _lockdown: Lockdown) -> Mapping[str, Switch]:
    from services.ingest.metrics import IngestMetrics
    from services.ingest.scrub.source import Piece
    from services.ingest.scrub.stream import Scrubber

    honest = Scrubber.feed
    begin, comment = b"\xff\xd8", b"\xff\xfe\0\x08Emma02"  # SOI; COM (ITU-T T.81, B.2.4.5)

    def careless(self: Scrubber, chunk: bytes) -> list[Piece]:
        pieces = honest(self, chunk)
        if pieces and bytes(pieces[0][:2]) == begin:
            return [begin + comment, pieces[0][2:], *pieces[1:]]
        return pieces

    async def talkative(on: bool) -> None:
        """Says in the log, in a span and in a metric what is on none of their lists; once."""
        if on:
            get_logger().info("photo_taken", caption="for grandma")
            importlib.import_module("mesh.tracing.fields").allowed({"caption": "for grandma"})
            IngestMetrics(CollectorRegistry()).refused("for grandma")

    async def comments(on: bool) -> None:
        """The scrubber lets a comment through."""
        setattr(Scrubber, "feed", careless if on else honest)  # noqa: B010 - mypy knows that it is a method

    return {"comments": comments, "talkative": talkative}


def _purge(app: App, _lockdown: Lockdown) -> Mapping[str, Switch]:
    from services.purge.core import Core

    core = part(app, Core)

    async def unguarded(on: bool) -> None:
        """Grants leases whatever attestation says."""
        vars(core.attestation).pop("require_safe", None)
        if on:
            vars(core.attestation)["require_safe"] = lambda: None

    async def reaper_asleep(on: bool) -> None:
        """Nobody ends what is due."""
        await (core.reaper.stop() if on else core.reaper.start())

    async def forgetful(on: bool) -> None:
        """The lease that was granted last is forgotten, without an end."""
        if on:
            *_, last = core.book
            core.book._remove(last)

    return {"unguarded": unguarded, "reaper_asleep": reaper_asleep, "forgetful": forgetful}


def _render(app: App, lockdown: Lockdown) -> Mapping[str, Switch]:
    from services.render.engines.null import NullEngine
    from services.render.picture import Cancelled, Job, Picture, Progress

    decoders = part(app, Workers)
    paint = NullEngine.render
    may_go_on = threading.Event()

    def late(self: NullEngine, job: Job, progress: Progress, cancelled: Cancelled) -> Picture:
        may_go_on.wait()
        return paint(self, job, progress, cancelled)

    async def slow(on: bool) -> None:
        """No picture is begun until this is switched off."""
        if on:
            may_go_on.clear()
        setattr(NullEngine, "render", late if on else paint)  # noqa: B010 - mypy knows that it is a method
        if not on:
            may_go_on.set()

    async def seized(on: bool) -> None:
        """A decoder that a photo has taken over asks for a connection; once. Counted as render's own decoders are."""
        if not on:
            return
        taken_over = Workers(
            "tests.unit.mesh.isolation.hostile",
            children=1,
            memory_bytes=256 * _MIB,
            answer_bytes=_MIB,
            errors={"crashed": lambda: Invalid("KILLED", "No.")},
            metrics=decoders._metrics,
            nursery=lockdown.nursery,
        )
        await taken_over.start()
        try:
            await taken_over.run([b"tcp"], seconds=20)
        except Invalid:
            return
        finally:
            await taken_over.stop()

    return {"seized": seized, "slow": slow}


def part(app: App, kind: type[T]) -> T:
    """The app's one component of this kind."""
    (found,) = (component for component in app._components if isinstance(component, kind))
    return found
