"""The holder's end of one custody stream: reports go up in batches until acknowledged, revocations come down.

This is the one place in ``mesh`` that speaks a service's wire (docs/decisions/0002-custody-in-mesh.md).
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import grpc

from mayfly.purge.v1 import custody_pb2 as pb
from mayfly.purge.v1 import custody_pb2_grpc
from mesh.custody.book import CustodyBook, LeaseRef
from mesh.custody.outbox import Batch, Change, Event, Outbox
from mesh.log import error_at, get_logger
from mesh.tasks import finish

_log = get_logger()
_BATCH_SECONDS = 0.01  # under load, reports of so long share a batch: each message costs purge as much as ten reports
# Seconds between attempts: doubled each time, and spread so that a replica that comes back isn't met by all at once.
_FIRST_RETRY, _LAST_RETRY = 0.1, 1.0
_CHANGES = {
    Change.HELD: pb.CUSTODY_CHANGE_HELD,
    Change.RELEASED: pb.CUSTODY_CHANGE_RELEASED,
    Change.CONFIRMED: pb.CUSTODY_CHANGE_REVOCATION_CONFIRMED,
}

Call: TypeAlias = "grpc.aio.StreamStreamCall[pb.CustodyReport, pb.CustodyCommand]"


@dataclass(frozen=True, slots=True)
class Introduction:
    """What a process says of itself in its hellos (custody.proto, HolderHello)."""

    instance: str
    epoch: str
    lockdown_controls: Sequence[str]
    processors: Sequence[str]


class CustodyStream:
    """To one replica of purge. target: its address, under which the book knows it."""

    def __init__(self, book: CustodyBook, channel: grpc.aio.Channel, target: str, hello: Introduction) -> None:
        self._book = book
        self._stub = custody_pb2_grpc.CustodyServiceStub(channel)
        self._target = target
        self._hello = hello
        book.metrics.custody_stream_up.admit(registry=(target,))
        self._up = book.metrics.custody_stream_up.labels(book.service, target)
        self._registry = ""
        self._outbox = Outbox()
        self._attempt: asyncio.Task[None] | None = None  # a call, from its hello to its end
        self._heard = False  # its hello was acknowledged
        self._attempts = 0
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._task: asyncio.Task[None] | None = None

    def report(self, event: Event) -> None:
        """Will be sent, as often as it takes."""
        self._outbox.add(event)
        if self._outbox.is_full:
            self._begin_anew()
        self._idle.clear()
        self._wake.set()
        self._judge()

    async def start(self) -> None:
        self._task = asyncio.create_task(self._attend())

    async def stop(self) -> None:
        """Gives the last photos two seconds to be let go of, and their reports to be acknowledged."""
        try:
            async with asyncio.timeout(2 if self._heard else 0):
                await self._idle.wait()
        except TimeoutError:
            _log.warning("custody_reports_unacknowledged", count=len(self._outbox))
        if self._task is not None:
            await finish(self._task)

    async def _attend(self) -> None:
        while True:
            self._attempt = asyncio.create_task(self._attend_once())
            try:
                await self._attempt
            except grpc.aio.AioRpcError as error:
                _log.warning("custody_stream_lost", code=error.code().name, registry=self._registry)
            except asyncio.CancelledError:
                # An attempt that was given up raises it too; only a cancelled task is over.
                if _cancelling():
                    raise
            except Exception as error:
                _log.error("custody_stream_failed", error_type=type(error).__name__, error_at=error_at(error))
            finally:
                self._heard = False
                self._judge()
            await self._book.clock.sleep(self._pause())

    def _pause(self) -> float:
        longest = min(_FIRST_RETRY * (1 << self._attempts), _LAST_RETRY)
        self._attempts = min(self._attempts + 1, 8)
        return longest * random.uniform(0.5, 1)  # noqa: S311 - spreads, hides nothing

    async def _attend_once(self) -> None:
        call = self._stub.Attend()
        sender: asyncio.Task[None] | None = None
        try:
            await call.write(pb.CustodyReport(hello=self._new_hello()))
            while isinstance(command := await call.read(), pb.CustodyCommand):
                self._obey(command)
                if sender is None and command.HasField("acknowledgement"):
                    # It answers the hello: purge listens.
                    if not self._listening(command.acknowledgement.registry):
                        return
                    sender = asyncio.create_task(self._send(call))
            await call.code()
        finally:
            call.cancel()
            if sender is not None:
                await finish(sender)

    def _new_hello(self) -> pb.HolderHello:
        return pb.HolderHello(
            instance=self._hello.instance,
            epoch=self._hello.epoch,
            lockdown_controls=self._hello.lockdown_controls,
            processors=self._hello.processors,
            held_photo_ids=self._book.held,
        )

    def _begin_anew(self) -> None:
        """The replica is away, or hears and doesn't answer. With a new hello, there is less to say."""
        if self._attempt is not None:
            # Also when the hello is all that was sent: it doesn't know what was held since. And not the call, but who
            # waits for it: cancelled in the midst of its first write, a call may never return from it (grpcio 1.85).
            self._attempt.cancel()
        if self._heard:
            _log.warning("custody_replica_behind", registry=self._registry)
            self._heard = False
        self._outbox.compact(self._registry)

    def _listening(self, registry: str) -> bool:
        """False if another replica goes by that name: a photo's home would be two of them."""
        if registry and registry in (name for at, name in self._book.attended.items() if at != self._target):
            _log.error("custody_registry_twice", registry=registry)
            return False
        self._registry, self._heard, self._attempts = registry, True, 0
        self._judge()
        return True

    def _judge(self) -> None:
        """Photos are taken on this replica's leases while it hears of them, and keeps up."""
        listens = self._heard and not self._outbox.is_full
        if listens:
            self._book.attend(self._target, self._registry)
        else:
            self._book.leave(self._target)
        self._up.set(listens)

    async def _send(self, call: Call) -> None:
        try:
            for batch in self._outbox.unacknowledged:
                await call.write(_report(batch))
            while True:
                while not self._outbox.may_send:
                    self._wake.clear()
                    await self._wake.wait()
                if self._outbox.is_awaited:
                    # Purge is busy with the last batch: let this one fill up meanwhile.
                    await self._book.clock.sleep(_BATCH_SECONDS)
                while self._outbox.may_send:
                    await call.write(_report(self._outbox.next_batch()))
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
            return  # the reader knows why
        except Exception as error:
            _log.error("custody_stream_failed", error_type=type(error).__name__, error_at=error_at(error))
        finally:
            # A stream that can't report is none: whoever reads from it learns so, and purge is attended anew.
            call.cancel()

    def _obey(self, command: pb.CustodyCommand) -> None:
        if command.HasField("acknowledgement"):
            self._outbox.acknowledge(command.acknowledgement.sequence)
            self._wake.set()
            self._judge()
            if self._outbox.is_empty and not self._book.held:
                self._idle.set()
        elif command.HasField("revocation"):
            revocation = command.revocation
            expire_time = revocation.expire_time.ToNanoseconds() / 1e9
            self._book.revoke(LeaseRef(revocation.photo_id, expire_time, self._registry))


def _report(batch: Batch) -> pb.CustodyReport:
    events = [
        pb.CustodyEvent(
            photo_id=event.photo_id,
            change=_CHANGES[event.change],
            held_micros=event.micros,
            registry=event.registry,
        )
        for event in batch.events
    ]
    return pb.CustodyReport(batch=pb.CustodyBatch(sequence=batch.sequence, events=events))


def _cancelling() -> bool:
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0
