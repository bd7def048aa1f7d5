"""An operator's calls to one replica of purge: the big red button, and what it could not move."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from google.protobuf.duration_pb2 import Duration

from clients.sdk.wire import as_mesh_errors
from mayfly.purge.v1 import operator_pb2 as pb
from mayfly.purge.v1 import operator_pb2_grpc
from mesh.channel import open_channel
from mesh.identity import Identity

_SECONDS = 10.0
_PURGE_SECONDS = 1200.0  # twice the longest lease


@dataclass(frozen=True, slots=True)
class Credential:
    """The operator's certificate and key, and the mesh's CA: PEM files."""

    cert: Path
    key: Path
    ca: Path

    def identity(self) -> Identity:
        """OSError for a file that can't be read."""
        return Identity(self.cert.read_bytes(), self.key.read_bytes(), self.ca.read_bytes(), "")


@dataclass(frozen=True, slots=True)
class Purged:
    """How far one replica is; the last one is ``done``. See operator.proto."""

    total: int
    ended: int
    elsewhere: int
    waiting: dict[str, int]
    irrevocable: int
    done: bool


@dataclass(frozen=True, slots=True)
class Stuck:
    """A lease that has ended and whose holder ("service/instance/epoch") has neither let go nor died."""

    photo_id: str
    holder: str
    since: datetime


class OperatorClient:
    """address: HOST:PORT of one replica's gRPC port. An async context manager; raises mesh/errors.py's family."""

    def __init__(self, address: str, credential: Credential) -> None:
        self._channel = open_channel(address, credential.identity(), "purge")
        self._stub: Any = operator_pb2_grpc.OperatorServiceStub(self._channel)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._channel.close()

    async def count(self) -> int:
        """Leases that ``purge_all`` would revoke."""
        count: int = (await self._ask("CountLeases", pb.CountLeasesRequest())).open
        return count

    async def pause(self, seconds: float) -> datetime | None:
        """No new leases for so long (at most an hour; 0: at once again); until when."""
        duration = Duration()
        duration.FromNanoseconds(round(seconds * 1e9))
        reply = await self._ask("PauseGrants", pb.PauseGrantsRequest(duration=duration))
        until: datetime = reply.until.ToDatetime(tzinfo=UTC)
        return until if reply.HasField("until") else None

    async def purge_all(self) -> AsyncIterator[Purged]:
        """Revokes every open lease. It goes on also if nobody reads to the end."""
        with as_mesh_errors():
            async for reply in self._stub.PurgeAll(pb.PurgeAllRequest(), timeout=_PURGE_SECONDS):
                yield Purged(
                    reply.total, reply.ended, reply.elsewhere, dict(reply.waiting), reply.irrevocable, reply.done
                )

    async def irrevocable(self) -> tuple[list[Stuck], int]:
        """The oldest first, at most 1000; and how many there are."""
        reply = await self._ask("ListIrrevocable", pb.ListIrrevocableRequest())
        leases = [Stuck(each.photo_id, each.holder, each.since.ToDatetime(tzinfo=UTC)) for each in reply.leases]
        return leases, reply.total

    async def _ask(self, method: str, request: Any) -> Any:
        with as_mesh_errors():
            return await getattr(self._stub, method)(request, timeout=_SECONDS)
