"""OperatorService on the wire."""

from __future__ import annotations

from collections.abc import AsyncIterator

import grpc
from google.protobuf.timestamp_pb2 import Timestamp

from mayfly.purge.v1 import operator_pb2 as pb
from mayfly.purge.v1 import operator_pb2_grpc
from mesh.context import ServerContext
from mesh.identity import AllowList
from services.purge.operator import Operator, Progress

OPERATOR = "mayfly.purge.v1.OperatorService"
ALLOWED: AllowList = {
    f"/{OPERATOR}/{method}": frozenset({"operator"})
    for method in ("PurgeAll", "PauseGrants", "CountLeases", "ListIrrevocable")
}
_MOST = 1000  # leases in one answer


class OperatorServicer(operator_pb2_grpc.OperatorServiceServicer):
    """See operator.proto."""

    def __init__(self, operator: Operator) -> None:
        self._operator = operator

    async def PurgeAll(self, request: pb.PurgeAllRequest, context: ServerContext) -> AsyncIterator[pb.PurgeAllResponse]:
        async for progress in self._operator.purge_all():
            yield _progress(progress)

    async def PauseGrants(self, request: pb.PauseGrantsRequest, context: ServerContext) -> pb.PauseGrantsResponse:
        until = self._operator.pause(request.duration.ToNanoseconds() / 1e9)
        return pb.PauseGrantsResponse(until=None if until is None else _timestamp(until))

    async def CountLeases(self, request: pb.CountLeasesRequest, context: ServerContext) -> pb.CountLeasesResponse:
        return pb.CountLeasesResponse(open=self._operator.open_leases)

    async def ListIrrevocable(
        self, request: pb.ListIrrevocableRequest, context: ServerContext
    ) -> pb.ListIrrevocableResponse:
        found = self._operator.irrevocable()
        leases = [
            pb.IrrevocableLease(photo_id=each.photo_id, holder=each.holder, since=_timestamp(each.since))
            for each in found[:_MOST]
        ]
        return pb.ListIrrevocableResponse(leases=leases, total=len(found))


def _progress(progress: Progress) -> pb.PurgeAllResponse:
    return pb.PurgeAllResponse(
        total=progress.total,
        ended=progress.ended,
        elsewhere=progress.elsewhere,
        waiting=progress.waiting,
        irrevocable=progress.irrevocable,
        done=progress.done,
    )


def _timestamp(seconds: float) -> Timestamp:
    stamp = Timestamp()
    stamp.FromMilliseconds(round(seconds * 1000))
    return stamp


def add_to(server: grpc.aio.Server, operator: Operator) -> None:
    """Registers it."""
    operator_pb2_grpc.add_OperatorServiceServicer_to_server(OperatorServicer(operator), server)
