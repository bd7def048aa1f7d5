"""The holder's end of the custody stream: reports go up in batches until acknowledged, revocations come down.

This is the one place in ``mesh`` that speaks a service's wire (docs/decisions/0002-custody-in-mesh.md).
"""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from collections.abc import Sequence

import grpc

from mayfly.purge.v1 import custody_pb2 as pb
from mayfly.purge.v1 import custody_pb2_grpc
from mesh.custody.book import CustodyBook, CustodyListener, LeaseRef
from mesh.log import error_at, get_logger
from mesh.tasks import finish

_log = get_logger()
_MAX_EVENTS = 64
_BATCH_SECONDS = 0.005  # under load, reports of so long share a batch
_RETRY_SECONDS = 0.2


class CustodyStream(CustodyListener):
    """A component, and the book's listener. ``holder`` is this process's name in custody: service/instance/epoch."""

    def __init__(
        self,
        book: CustodyBook,
        channel: grpc.aio.Channel,
        *,
        instance: str,
        lockdown_controls: Sequence[str],
        processors: Sequence[str] = (),
    ) -> None:
        self._book = book
        self._stub = custody_pb2_grpc.CustodyServiceStub(channel)
        self._hello = pb.HolderHello(
            instance=instance,
            epoch=secrets.token_hex(8),
            lockdown_controls=lockdown_controls,
            processors=processors,
        )
        self.holder = f"{book.service}/{instance}/{self._hello.epoch}"
        self._unsent: list[pb.CustodyEvent] = []
        self._unacknowledged: deque[pb.CustodyBatch] = deque()
        self._sequence = 0
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._task: asyncio.Task[None] | None = None
        book.listener = self

    # --- what the book says ---

    def held(self, photo_id: str) -> None:
        self._report(pb.CustodyEvent(photo_id=photo_id, change=pb.CUSTODY_CHANGE_HELD))

    def released(self, photo_id: str, seconds: float) -> None:
        micros = max(0, int(seconds * 1e6))
        self._report(pb.CustodyEvent(photo_id=photo_id, change=pb.CUSTODY_CHANGE_RELEASED, held_micros=micros))

    def revocation_confirmed(self, photo_id: str) -> None:
        self._report(pb.CustodyEvent(photo_id=photo_id, change=pb.CUSTODY_CHANGE_REVOCATION_CONFIRMED))

    def _report(self, event: pb.CustodyEvent) -> None:
        self._unsent.append(event)
        self._idle.clear()
        self._wake.set()

    # --- the stream ---

    async def start(self) -> None:
        self._task = asyncio.create_task(self._attend())

    async def stop(self) -> None:
        """Gives the last photos two seconds to be let go of, and their reports to be acknowledged."""
        try:
            async with asyncio.timeout(2 if self._book.attended else 0):
                await self._idle.wait()
        except TimeoutError:
            _log.warning("custody_reports_unacknowledged", count=len(self._unacknowledged))
        if self._task is not None:
            await finish(self._task)

    async def _attend(self) -> None:
        while True:
            try:
                await self._attend_once()
            except grpc.aio.AioRpcError as error:
                _log.warning("custody_stream_lost", code=error.code().name)
            except asyncio.CancelledError:
                # Reading from a call that was cancelled here raises it too; only a cancelled task is over.
                if _cancelling():
                    raise
            except Exception as error:
                _log.error("custody_stream_failed", error_type=type(error).__name__, error_at=error_at(error))
            finally:
                self._listening(False)
            await self._book.clock.sleep(_RETRY_SECONDS)

    async def _attend_once(self) -> None:
        call = self._stub.Attend()
        sender: asyncio.Task[None] | None = None
        try:
            hello = pb.HolderHello()
            hello.CopyFrom(self._hello)
            hello.held_photo_ids.extend(self._book.held)
            await call.write(pb.CustodyReport(hello=hello))
            while isinstance(command := await call.read(), pb.CustodyCommand):
                self._obey(command)
                if sender is None and command.HasField("acknowledgement"):
                    # It answers the hello: purge listens.
                    self._listening(True)
                    sender = asyncio.create_task(self._send(call))
            await call.code()
        finally:
            call.cancel()
            if sender is not None:
                await finish(sender)

    def _listening(self, attended: bool) -> None:
        self._book.attended = attended
        self._book.metrics.custody_stream_up.set(attended)

    async def _send(self, call: grpc.aio.StreamStreamCall[pb.CustodyReport, pb.CustodyCommand]) -> None:
        try:
            for batch in list(self._unacknowledged):
                await call.write(pb.CustodyReport(batch=batch))
            while True:
                while not self._unsent:
                    self._wake.clear()
                    await self._wake.wait()
                if self._unacknowledged:
                    # Purge is busy with the last batch: let this one fill up meanwhile.
                    await self._book.clock.sleep(_BATCH_SECONDS)
                while self._unsent:
                    await call.write(pb.CustodyReport(batch=self._next_batch()))
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
            return  # the reader knows why
        except Exception as error:
            _log.error("custody_stream_failed", error_type=type(error).__name__, error_at=error_at(error))
        finally:
            # A stream that can't report is none: whoever reads from it learns so, and purge is attended anew.
            call.cancel()

    def _next_batch(self) -> pb.CustodyBatch:
        self._sequence += 1
        batch = pb.CustodyBatch(sequence=self._sequence, events=self._unsent[:_MAX_EVENTS])
        del self._unsent[:_MAX_EVENTS]
        self._unacknowledged.append(batch)
        return batch

    def _obey(self, command: pb.CustodyCommand) -> None:
        if command.HasField("acknowledgement"):
            while self._unacknowledged and self._unacknowledged[0].sequence <= command.acknowledgement.sequence:
                self._unacknowledged.popleft()
            if not self._unacknowledged and not self._unsent and not self._book.held:
                self._idle.set()
        elif command.HasField("revocation"):
            revocation = command.revocation
            self._book.revoke(LeaseRef(revocation.photo_id, revocation.expire_time.ToNanoseconds() / 1e9))


def _cancelling() -> bool:
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0
