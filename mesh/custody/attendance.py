"""This process before all replicas of purge: one stream to each, and everything that the book says to all of them.

Only the replica that keeps a lease acts on a report of it. The others are told so that they know who holds what, should
they have to take the lease over.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping, Sequence

import grpc

from mesh.custody.book import CustodyBook, CustodyListener, LeaseRef
from mesh.custody.outbox import Change, Event
from mesh.custody.stream import CustodyStream, Introduction


class Attendance(CustodyListener):
    """A component, and the book's listener. ``holder`` is this process's name in custody: service/instance/epoch.

    channels: to each replica, by its address.
    """

    def __init__(
        self,
        book: CustodyBook,
        channels: Mapping[str, grpc.aio.Channel],
        *,
        instance: str,
        lockdown_controls: Sequence[str],
        processors: Sequence[str] = (),
    ) -> None:
        hello = Introduction(instance, secrets.token_hex(8), lockdown_controls, processors)
        self.holder = f"{book.service}/{instance}/{hello.epoch}"
        self.streams = [CustodyStream(book, channel, target, hello) for target, channel in channels.items()]
        book.listener = self

    def held(self, lease: LeaseRef) -> None:
        self._report(Event(lease.photo_id, lease.registry, Change.HELD))

    def released(self, lease: LeaseRef, seconds: float) -> None:
        micros = max(0, int(seconds * 1e6))
        self._report(Event(lease.photo_id, lease.registry, Change.RELEASED, micros))

    def revocation_confirmed(self, lease: LeaseRef) -> None:
        self._report(Event(lease.photo_id, lease.registry, Change.CONFIRMED))

    def _report(self, event: Event) -> None:
        for stream in self.streams:
            stream.report(event)

    async def start(self) -> None:
        for stream in self.streams:
            await stream.start()

    async def stop(self) -> None:
        """Every replica that listens hears the last reports; one that doesn't is not waited for."""
        await asyncio.gather(*[stream.stop() for stream in self.streams])
