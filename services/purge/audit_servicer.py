"""AuditService on the wire."""

from __future__ import annotations

import grpc

from mayfly.purge.v1 import audit_pb2 as pb
from mayfly.purge.v1 import audit_pb2_grpc
from mesh.context import ServerContext
from mesh.identity import AllowList
from services.purge.audits import Audits

AUDIT = "mayfly.purge.v1.AuditService"
ALLOWED: AllowList = {f"/{AUDIT}/RecordAudit": frozenset({"auditor"})}


class AuditServicer(audit_pb2_grpc.AuditServiceServicer):
    """See audit.proto."""

    def __init__(self, audits: Audits) -> None:
        self._audits = audits

    async def RecordAudit(self, request: pb.RecordAuditRequest, context: ServerContext) -> pb.RecordAuditResponse:
        return pb.RecordAuditResponse(index=await self._audits.record(request.envelope))


def add_to(server: grpc.aio.Server, audits: Audits) -> None:
    """Registers it."""
    audit_pb2_grpc.add_AuditServiceServicer_to_server(AuditServicer(audits), server)
