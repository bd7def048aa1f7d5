import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class DeliveryRoute(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DELIVERY_ROUTE_UNSPECIFIED: _ClassVar[DeliveryRoute]
    DELIVERY_ROUTE_STREAM: _ClassVar[DeliveryRoute]
    DELIVERY_ROUTE_COLLECT: _ClassVar[DeliveryRoute]

class RevocationReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    REVOCATION_REASON_UNSPECIFIED: _ClassVar[RevocationReason]
    REVOCATION_REASON_REQUESTED: _ClassVar[RevocationReason]
    REVOCATION_REASON_UPLOAD_ABORTED: _ClassVar[RevocationReason]
    REVOCATION_REASON_REFUSED: _ClassVar[RevocationReason]
    REVOCATION_REASON_ENGINE_FAILED: _ClassVar[RevocationReason]
    REVOCATION_REASON_PEER_LOST: _ClassVar[RevocationReason]
    REVOCATION_REASON_SHUTDOWN: _ClassVar[RevocationReason]
DELIVERY_ROUTE_UNSPECIFIED: DeliveryRoute
DELIVERY_ROUTE_STREAM: DeliveryRoute
DELIVERY_ROUTE_COLLECT: DeliveryRoute
REVOCATION_REASON_UNSPECIFIED: RevocationReason
REVOCATION_REASON_REQUESTED: RevocationReason
REVOCATION_REASON_UPLOAD_ABORTED: RevocationReason
REVOCATION_REASON_REFUSED: RevocationReason
REVOCATION_REASON_ENGINE_FAILED: RevocationReason
REVOCATION_REASON_PEER_LOST: RevocationReason
REVOCATION_REASON_SHUTDOWN: RevocationReason

class GrantLeaseRequest(_message.Message):
    __slots__ = ("owner_digest", "ttl", "nonce_commitment", "claim_verifier", "policy_version")
    OWNER_DIGEST_FIELD_NUMBER: _ClassVar[int]
    TTL_FIELD_NUMBER: _ClassVar[int]
    NONCE_COMMITMENT_FIELD_NUMBER: _ClassVar[int]
    CLAIM_VERIFIER_FIELD_NUMBER: _ClassVar[int]
    POLICY_VERSION_FIELD_NUMBER: _ClassVar[int]
    owner_digest: bytes
    ttl: _duration_pb2.Duration
    nonce_commitment: bytes
    claim_verifier: bytes
    policy_version: str
    def __init__(self, owner_digest: _Optional[bytes] = ..., ttl: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., nonce_commitment: _Optional[bytes] = ..., claim_verifier: _Optional[bytes] = ..., policy_version: _Optional[str] = ...) -> None: ...

class GrantLeaseResponse(_message.Message):
    __slots__ = ("photo_id", "expire_time", "registry")
    PHOTO_ID_FIELD_NUMBER: _ClassVar[int]
    EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    REGISTRY_FIELD_NUMBER: _ClassVar[int]
    photo_id: str
    expire_time: _timestamp_pb2.Timestamp
    registry: str
    def __init__(self, photo_id: _Optional[str] = ..., expire_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., registry: _Optional[str] = ...) -> None: ...

class SettleLeaseRequest(_message.Message):
    __slots__ = ("photo_id", "holders", "route", "collected_by")
    PHOTO_ID_FIELD_NUMBER: _ClassVar[int]
    HOLDERS_FIELD_NUMBER: _ClassVar[int]
    ROUTE_FIELD_NUMBER: _ClassVar[int]
    COLLECTED_BY_FIELD_NUMBER: _ClassVar[int]
    photo_id: str
    holders: _containers.RepeatedScalarFieldContainer[str]
    route: DeliveryRoute
    collected_by: CollectedBy
    def __init__(self, photo_id: _Optional[str] = ..., holders: _Optional[_Iterable[str]] = ..., route: _Optional[_Union[DeliveryRoute, str]] = ..., collected_by: _Optional[_Union[CollectedBy, _Mapping]] = ...) -> None: ...

class CollectedBy(_message.Message):
    __slots__ = ("owner_digest", "claim_secret", "claimant")
    OWNER_DIGEST_FIELD_NUMBER: _ClassVar[int]
    CLAIM_SECRET_FIELD_NUMBER: _ClassVar[int]
    CLAIMANT_FIELD_NUMBER: _ClassVar[int]
    owner_digest: bytes
    claim_secret: bytes
    claimant: bytes
    def __init__(self, owner_digest: _Optional[bytes] = ..., claim_secret: _Optional[bytes] = ..., claimant: _Optional[bytes] = ...) -> None: ...

class SettleLeaseResponse(_message.Message):
    __slots__ = ("receipt_bundle",)
    RECEIPT_BUNDLE_FIELD_NUMBER: _ClassVar[int]
    receipt_bundle: bytes
    def __init__(self, receipt_bundle: _Optional[bytes] = ...) -> None: ...

class RevokeLeaseRequest(_message.Message):
    __slots__ = ("photo_id", "owner_digest", "reason")
    PHOTO_ID_FIELD_NUMBER: _ClassVar[int]
    OWNER_DIGEST_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    photo_id: str
    owner_digest: bytes
    reason: RevocationReason
    def __init__(self, photo_id: _Optional[str] = ..., owner_digest: _Optional[bytes] = ..., reason: _Optional[_Union[RevocationReason, str]] = ...) -> None: ...

class RevokeLeaseResponse(_message.Message):
    __slots__ = ("receipt_bundle",)
    RECEIPT_BUNDLE_FIELD_NUMBER: _ClassVar[int]
    receipt_bundle: bytes
    def __init__(self, receipt_bundle: _Optional[bytes] = ...) -> None: ...

class RevokeOwnerRequest(_message.Message):
    __slots__ = ("owner_digest",)
    OWNER_DIGEST_FIELD_NUMBER: _ClassVar[int]
    owner_digest: bytes
    def __init__(self, owner_digest: _Optional[bytes] = ...) -> None: ...

class RevokeOwnerResponse(_message.Message):
    __slots__ = ("ended", "pending_photo_ids", "elsewhere")
    ENDED_FIELD_NUMBER: _ClassVar[int]
    PENDING_PHOTO_IDS_FIELD_NUMBER: _ClassVar[int]
    ELSEWHERE_FIELD_NUMBER: _ClassVar[int]
    ended: _containers.RepeatedCompositeFieldContainer[EndedLease]
    pending_photo_ids: _containers.RepeatedScalarFieldContainer[str]
    elsewhere: _containers.RepeatedCompositeFieldContainer[LeaseElsewhere]
    def __init__(self, ended: _Optional[_Iterable[_Union[EndedLease, _Mapping]]] = ..., pending_photo_ids: _Optional[_Iterable[str]] = ..., elsewhere: _Optional[_Iterable[_Union[LeaseElsewhere, _Mapping]]] = ...) -> None: ...

class LeaseElsewhere(_message.Message):
    __slots__ = ("photo_id", "registry")
    PHOTO_ID_FIELD_NUMBER: _ClassVar[int]
    REGISTRY_FIELD_NUMBER: _ClassVar[int]
    photo_id: str
    registry: str
    def __init__(self, photo_id: _Optional[str] = ..., registry: _Optional[str] = ...) -> None: ...

class EndedLease(_message.Message):
    __slots__ = ("photo_id", "receipt_bundle")
    PHOTO_ID_FIELD_NUMBER: _ClassVar[int]
    RECEIPT_BUNDLE_FIELD_NUMBER: _ClassVar[int]
    photo_id: str
    receipt_bundle: bytes
    def __init__(self, photo_id: _Optional[str] = ..., receipt_bundle: _Optional[bytes] = ...) -> None: ...

class ParkRequest(_message.Message):
    __slots__ = ("start", "segment", "seal")
    START_FIELD_NUMBER: _ClassVar[int]
    SEGMENT_FIELD_NUMBER: _ClassVar[int]
    SEAL_FIELD_NUMBER: _ClassVar[int]
    start: ParkStart
    segment: bytes
    seal: ParkSeal
    def __init__(self, start: _Optional[_Union[ParkStart, _Mapping]] = ..., segment: _Optional[bytes] = ..., seal: _Optional[_Union[ParkSeal, _Mapping]] = ...) -> None: ...

class ParkStart(_message.Message):
    __slots__ = ("photo_id", "holders")
    PHOTO_ID_FIELD_NUMBER: _ClassVar[int]
    HOLDERS_FIELD_NUMBER: _ClassVar[int]
    photo_id: str
    holders: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, photo_id: _Optional[str] = ..., holders: _Optional[_Iterable[str]] = ...) -> None: ...

class ParkSeal(_message.Message):
    __slots__ = ("segment_count",)
    SEGMENT_COUNT_FIELD_NUMBER: _ClassVar[int]
    segment_count: int
    def __init__(self, segment_count: _Optional[int] = ...) -> None: ...

class ParkResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ClaimRequest(_message.Message):
    __slots__ = ("photo_id", "owner_digest", "claim_secret", "claimant", "first_segment")
    PHOTO_ID_FIELD_NUMBER: _ClassVar[int]
    OWNER_DIGEST_FIELD_NUMBER: _ClassVar[int]
    CLAIM_SECRET_FIELD_NUMBER: _ClassVar[int]
    CLAIMANT_FIELD_NUMBER: _ClassVar[int]
    FIRST_SEGMENT_FIELD_NUMBER: _ClassVar[int]
    photo_id: str
    owner_digest: bytes
    claim_secret: bytes
    claimant: bytes
    first_segment: int
    def __init__(self, photo_id: _Optional[str] = ..., owner_digest: _Optional[bytes] = ..., claim_secret: _Optional[bytes] = ..., claimant: _Optional[bytes] = ..., first_segment: _Optional[int] = ...) -> None: ...

class ClaimResponse(_message.Message):
    __slots__ = ("segment", "expire_time", "segment_count", "again")
    SEGMENT_FIELD_NUMBER: _ClassVar[int]
    EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    SEGMENT_COUNT_FIELD_NUMBER: _ClassVar[int]
    AGAIN_FIELD_NUMBER: _ClassVar[int]
    segment: bytes
    expire_time: _timestamp_pb2.Timestamp
    segment_count: int
    again: bool
    def __init__(self, segment: _Optional[bytes] = ..., expire_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., segment_count: _Optional[int] = ..., again: _Optional[bool] = ...) -> None: ...

class ReturnClaimRequest(_message.Message):
    __slots__ = ("photo_id", "claim_secret", "claimant")
    PHOTO_ID_FIELD_NUMBER: _ClassVar[int]
    CLAIM_SECRET_FIELD_NUMBER: _ClassVar[int]
    CLAIMANT_FIELD_NUMBER: _ClassVar[int]
    photo_id: str
    claim_secret: bytes
    claimant: bytes
    def __init__(self, photo_id: _Optional[str] = ..., claim_secret: _Optional[bytes] = ..., claimant: _Optional[bytes] = ...) -> None: ...

class ReturnClaimResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetReceiptRequest(_message.Message):
    __slots__ = ("photo_id", "wait_for_inclusion")
    PHOTO_ID_FIELD_NUMBER: _ClassVar[int]
    WAIT_FOR_INCLUSION_FIELD_NUMBER: _ClassVar[int]
    photo_id: str
    wait_for_inclusion: bool
    def __init__(self, photo_id: _Optional[str] = ..., wait_for_inclusion: _Optional[bool] = ...) -> None: ...

class GetReceiptResponse(_message.Message):
    __slots__ = ("receipt_bundle",)
    RECEIPT_BUNDLE_FIELD_NUMBER: _ClassVar[int]
    receipt_bundle: bytes
    def __init__(self, receipt_bundle: _Optional[bytes] = ...) -> None: ...
