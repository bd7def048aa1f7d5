"""Every kind of error over the wire and back, with all that it says; and what isn't ours."""

from __future__ import annotations

import grpc
import pytest
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2

from mesh import errors, status

DETAILS = "grpc-status-details-bin"
KINDS = [
    (errors.Invalid, grpc.StatusCode.INVALID_ARGUMENT),
    (errors.Aborted, grpc.StatusCode.ABORTED),
    (errors.NotFound, grpc.StatusCode.NOT_FOUND),
    (errors.Unauthenticated, grpc.StatusCode.UNAUTHENTICATED),
    (errors.Denied, grpc.StatusCode.PERMISSION_DENIED),
    (errors.Exhausted, grpc.StatusCode.RESOURCE_EXHAUSTED),
    (errors.Unavailable, grpc.StatusCode.UNAVAILABLE),
    (errors.Overdue, grpc.StatusCode.DEADLINE_EXCEEDED),
    (errors.Cancelled, grpc.StatusCode.CANCELLED),
    (errors.Internal, grpc.StatusCode.INTERNAL),
]


def received(code: grpc.StatusCode, raw: bytes | None = None) -> errors.MeshError:
    trailing = grpc.aio.Metadata() if raw is None else grpc.aio.Metadata((DETAILS, raw))
    return status.from_rpc(grpc.aio.AioRpcError(code, grpc.aio.Metadata(), trailing, "bare text"))


def over_the_wire(error: errors.MeshError) -> errors.MeshError:
    return received(status.code_of(error), status.to_status(error).SerializeToString())


def test_the_table_is_complete() -> None:
    assert {kind for kind, _ in KINDS} == set(errors.MeshError.__subclasses__())


@pytest.mark.parametrize(("kind", "code"), KINDS)
def test_there_and_back(kind: type[errors.MeshError], code: grpc.StatusCode) -> None:
    sent = kind("SOME_REASON", "Do this; ähnlich.", field="start.ttl", limit=300, retry_after=1.25, registry="purge-1")
    assert status.code_of(sent) is code
    back = over_the_wire(sent)
    assert type(back) is kind
    assert vars(back) == vars(sent)


@pytest.mark.parametrize(("kind", "code"), KINDS)
def test_there_and_back_without_details(kind: type[errors.MeshError], code: grpc.StatusCode) -> None:
    back = over_the_wire(kind("SOME_REASON", "Do this."))
    assert (type(back), back.field, back.limit, back.retry_after) == (kind, None, None, None)


def test_a_subclass_has_its_familys_code() -> None:
    class Special(errors.NotFound):
        pass

    assert status.code_of(Special("A", "b")) is grpc.StatusCode.NOT_FOUND
    assert status.code_of(errors.MeshError("A", "b")) is grpc.StatusCode.INTERNAL


def test_what_a_client_of_another_language_finds() -> None:
    sent = status.to_status(errors.Invalid("TOO_BIG", "Send less.", field="start.byte_count", limit=7))
    info, violation = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    assert sent.details[0].Unpack(info)
    assert sent.details[1].Unpack(violation)
    assert (sent.code, sent.message) == (3, "Send less.")
    assert (info.reason, info.domain, dict(info.metadata)) == (
        "TOO_BIG",
        "mayfly",
        {"field": "start.byte_count", "limit": "7"},
    )
    assert violation.field_violations[0].field == "start.byte_count"


def test_retry_info() -> None:
    sent = status.to_status(errors.Exhausted("QUEUE_FULL", "Wait.", retry_after=2.5))
    retry = error_details_pb2.RetryInfo()
    assert sent.details[1].Unpack(retry)
    assert retry.retry_delay.ToMilliseconds() == 2500


@pytest.mark.parametrize(
    ("code", "kind", "reason"),
    [
        (grpc.StatusCode.UNAVAILABLE, errors.Unavailable, "PEER_UNAVAILABLE"),
        (grpc.StatusCode.DEADLINE_EXCEEDED, errors.Overdue, "LEASE_EXPIRED"),
        (grpc.StatusCode.CANCELLED, errors.Cancelled, "CANCELLED"),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, errors.Invalid, "MESSAGE_TOO_LARGE"),
        (grpc.StatusCode.UNKNOWN, errors.Internal, "INTERNAL"),
        (grpc.StatusCode.UNIMPLEMENTED, errors.Internal, "INTERNAL"),
        (grpc.StatusCode.DATA_LOSS, errors.Internal, "INTERNAL"),
        (grpc.StatusCode.INTERNAL, errors.Internal, "INTERNAL"),
    ],
)
def test_codes_without_details(code: grpc.StatusCode, kind: type[errors.MeshError], reason: str) -> None:
    back = received(code)
    assert (type(back), back.reason) == (kind, reason)
    assert "bare text" not in str(back)


def test_only_a_transport_that_is_away_is_worth_another_try() -> None:
    assert received(grpc.StatusCode.UNAVAILABLE).retry_after == 1.0
    assert received(grpc.StatusCode.DEADLINE_EXCEEDED).retry_after is None


def foreign(domain: str, reason: str = "THEIRS") -> bytes:
    packed = any_pb2.Any()
    packed.Pack(error_details_pb2.ErrorInfo(reason=reason, domain=domain))
    return status_pb2.Status(code=14, message="their text", details=[packed]).SerializeToString()


@pytest.mark.parametrize(
    "raw",
    [
        b"\xff\xff not protobuf",
        b"",
        foreign("example.com"),
        foreign("mayfly", reason=""),
        status_pb2.Status(code=14, message="their text").SerializeToString(),
        status_pb2.Status(details=[any_pb2.Any(type_url="x/y", value=b"\xff")]).SerializeToString(),
    ],
)
def test_other_peoples_details_do_not_pass_for_ours(raw: bytes) -> None:
    back = received(grpc.StatusCode.UNAVAILABLE, raw)
    assert (type(back), back.reason) == (errors.Unavailable, "PEER_UNAVAILABLE")
    assert "their text" not in str(back)


def test_our_details_under_a_code_that_is_not_ours() -> None:
    back = received(grpc.StatusCode.UNKNOWN, foreign("mayfly"))
    assert (type(back), back.reason) == (errors.Internal, "INTERNAL")


def test_a_limit_that_is_no_number_is_none() -> None:
    packed = any_pb2.Any()
    packed.Pack(error_details_pb2.ErrorInfo(reason="A", domain="mayfly", metadata={"limit": "1e9"}))
    raw = status_pb2.Status(code=3, details=[packed]).SerializeToString()
    assert received(grpc.StatusCode.INVALID_ARGUMENT, raw).limit is None
