"""Why a lease is revoked, told from the error that ended its journey."""

from __future__ import annotations

import asyncio

from mayfly.purge.v1 import registry_pb2 as pb
from mesh import errors
from mesh.status import CALL_CANCELLED
from services.gateway.client import ClientGone

Reason = pb.RevocationReason
REQUESTED = pb.REVOCATION_REASON_REQUESTED

_REASONS: tuple[tuple[type[BaseException], pb.RevocationReason | None], ...] = (
    (ClientGone, pb.REVOCATION_REASON_UPLOAD_ABORTED),
    (errors.Aborted, pb.REVOCATION_REASON_UPLOAD_ABORTED),
    (errors.Invalid, pb.REVOCATION_REASON_REFUSED),
    (errors.Denied, pb.REVOCATION_REASON_REFUSED),
    (errors.Unavailable, pb.REVOCATION_REASON_PEER_LOST),
    (errors.Exhausted, pb.REVOCATION_REASON_ENGINE_FAILED),
    (errors.Internal, pb.REVOCATION_REASON_ENGINE_FAILED),
    # Revoked or overdue: purge ends the lease by itself.
    (errors.Cancelled, None),
    (errors.NotFound, None),
    (errors.Overdue, None),
    (asyncio.CancelledError, pb.REVOCATION_REASON_SHUTDOWN),
)


def revocation_reason(error: BaseException) -> pb.RevocationReason | None:
    """None: the lease has its end already."""
    if isinstance(error, errors.Cancelled) and error.reason == CALL_CANCELLED:
        # Not the lease was taken back, but the call: a peer that went down in its midst.
        return pb.REVOCATION_REASON_PEER_LOST
    return next((reason for kind, reason in _REASONS if isinstance(error, kind)), pb.REVOCATION_REASON_ENGINE_FAILED)
