"""Errors on the wire: one table, both ways (google.rpc.Status with ErrorInfo, RetryInfo, BadRequest)."""

from __future__ import annotations

from typing import Any, NoReturn

import grpc
from google.protobuf import any_pb2, duration_pb2
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2

from mesh import errors
from mesh.context import ServerContext

DOMAIN = "mayfly"
PEER_UNAVAILABLE = "PEER_UNAVAILABLE"
"""The reason of a call whose other side was not reached, or went away in its midst."""
CALL_CANCELLED = "CANCELLED"
"""The reason of a call that the transport, or a dying peer, cancelled."""
_DETAILS = "grpc-status-details-bin"

_CODES: dict[type[errors.MeshError], grpc.StatusCode] = {
    errors.Invalid: grpc.StatusCode.INVALID_ARGUMENT,
    errors.Aborted: grpc.StatusCode.ABORTED,
    errors.NotFound: grpc.StatusCode.NOT_FOUND,
    errors.Unauthenticated: grpc.StatusCode.UNAUTHENTICATED,
    errors.Denied: grpc.StatusCode.PERMISSION_DENIED,
    errors.Exhausted: grpc.StatusCode.RESOURCE_EXHAUSTED,
    errors.Unavailable: grpc.StatusCode.UNAVAILABLE,
    errors.Overdue: grpc.StatusCode.DEADLINE_EXCEEDED,
    errors.Cancelled: grpc.StatusCode.CANCELLED,
    errors.Internal: grpc.StatusCode.INTERNAL,
}
_KINDS = {code: kind for kind, code in _CODES.items()}
# What a code means when the other side sent no details: the transport failed, or it isn't one of ours.
_BARE = {
    grpc.StatusCode.UNAVAILABLE: (PEER_UNAVAILABLE, "A service of the mesh is away; try again shortly."),
    grpc.StatusCode.DEADLINE_EXCEEDED: ("LEASE_EXPIRED", "The lease ended before the work did; try again."),
    grpc.StatusCode.CANCELLED: (CALL_CANCELLED, "The call was cancelled."),
}


def code_of(error: errors.MeshError) -> grpc.StatusCode:
    """The gRPC code of an error (design, section 5)."""
    return next((_CODES[kind] for kind in type(error).__mro__ if kind in _CODES), grpc.StatusCode.INTERNAL)


def to_status(error: errors.MeshError) -> status_pb2.Status:
    """The error as google.rpc.Status."""
    info = error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN)
    if error.field is not None:
        info.metadata["field"] = error.field
    if error.limit is not None:
        info.metadata["limit"] = str(error.limit)
    if error.registry is not None:
        info.metadata["registry"] = error.registry
    status = status_pb2.Status(code=code_of(error).value[0], message=error.message)
    details = [info, *_more(error)]
    for detail in details:
        packed = any_pb2.Any()
        packed.Pack(detail)
        status.details.append(packed)
    return status


def _more(error: errors.MeshError) -> list[error_details_pb2.BadRequest | error_details_pb2.RetryInfo]:
    more: list[error_details_pb2.BadRequest | error_details_pb2.RetryInfo] = []
    if isinstance(error, errors.Invalid) and error.field is not None:
        violation = error_details_pb2.BadRequest.FieldViolation(field=error.field, description=error.message)
        more.append(error_details_pb2.BadRequest(field_violations=[violation]))
    if error.retry_after is not None:
        delay = duration_pb2.Duration()
        delay.FromNanoseconds(int(error.retry_after * 1e9))
        more.append(error_details_pb2.RetryInfo(retry_delay=delay))
    return more


async def abort(context: ServerContext, error: errors.MeshError) -> NoReturn:
    """Ends the call with this error."""
    details = ((_DETAILS, to_status(error).SerializeToString()),)
    await context.abort(code_of(error), error.message, trailing_metadata=details)
    raise AssertionError("abort raises")


def from_rpc(error: grpc.RpcError) -> errors.MeshError:
    """The error that the other side meant. Anything that isn't ours becomes Unavailable, Overdue or Internal."""
    code = error.code()
    trailing: Any = error.trailing_metadata() or ()
    for key, value in trailing:
        if key == _DETAILS and (meant := _from_details(code, value)) is not None:
            return meant
    if code in _BARE:
        reason, sentence = _BARE[code]
        return _KINDS[code](reason, sentence, retry_after=1.0 if code is grpc.StatusCode.UNAVAILABLE else None)
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED:
        return errors.Invalid("MESSAGE_TOO_LARGE", "A message is over the size limit; send smaller chunks.")
    return errors.Internal("INTERNAL", "Internal error.")


def _from_details(code: grpc.StatusCode, raw: bytes) -> errors.MeshError | None:
    """None: somebody else's details (a proxy's), which must not pass for ours."""
    info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
    retry_after = None
    try:
        status = status_pb2.Status.FromString(raw)
    except DecodeError:
        return None
    for detail in status.details:
        if detail.Unpack(info):
            continue
        if detail.Unpack(retry):
            retry_after = retry.retry_delay.ToNanoseconds() / 1e9
    if info.domain != DOMAIN or not info.reason or code not in _KINDS:
        return None
    limit = info.metadata.get("limit", "")
    return _KINDS[code](
        info.reason,
        status.message,
        field=info.metadata.get("field") or None,
        limit=int(limit) if limit.isdecimal() else None,
        retry_after=retry_after,
        registry=info.metadata.get("registry") or None,
    )
