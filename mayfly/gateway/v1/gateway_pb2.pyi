import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from mayfly.photo.v1 import photo_pb2 as _photo_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class SceneCost(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SCENE_COST_UNSPECIFIED: _ClassVar[SceneCost]
    SCENE_COST_LIGHT: _ClassVar[SceneCost]
    SCENE_COST_STANDARD: _ClassVar[SceneCost]
    SCENE_COST_HEAVY: _ClassVar[SceneCost]

class SceneKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SCENE_KIND_UNSPECIFIED: _ClassVar[SceneKind]
    SCENE_KIND_MILESTONE: _ClassVar[SceneKind]
    SCENE_KIND_PORTRAIT: _ClassVar[SceneKind]
    SCENE_KIND_ENHANCE: _ClassVar[SceneKind]
SCENE_COST_UNSPECIFIED: SceneCost
SCENE_COST_LIGHT: SceneCost
SCENE_COST_STANDARD: SceneCost
SCENE_COST_HEAVY: SceneCost
SCENE_KIND_UNSPECIFIED: SceneKind
SCENE_KIND_MILESTONE: SceneKind
SCENE_KIND_PORTRAIT: SceneKind
SCENE_KIND_ENHANCE: SceneKind

class RenderRequest(_message.Message):
    __slots__ = ("start", "chunk", "seal", "delivered")
    START_FIELD_NUMBER: _ClassVar[int]
    CHUNK_FIELD_NUMBER: _ClassVar[int]
    SEAL_FIELD_NUMBER: _ClassVar[int]
    DELIVERED_FIELD_NUMBER: _ClassVar[int]
    start: RenderStart
    chunk: bytes
    seal: _photo_pb2.PhotoSeal
    delivered: Delivered
    def __init__(self, start: _Optional[_Union[RenderStart, _Mapping]] = ..., chunk: _Optional[bytes] = ..., seal: _Optional[_Union[_photo_pb2.PhotoSeal, _Mapping]] = ..., delivered: _Optional[_Union[Delivered, _Mapping]] = ...) -> None: ...

class RenderStart(_message.Message):
    __slots__ = ("request_id", "scene_id", "caption_id", "locale", "seed", "ttl", "policy_version", "nonce_commitment", "byte_count")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    SCENE_ID_FIELD_NUMBER: _ClassVar[int]
    CAPTION_ID_FIELD_NUMBER: _ClassVar[int]
    LOCALE_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    TTL_FIELD_NUMBER: _ClassVar[int]
    POLICY_VERSION_FIELD_NUMBER: _ClassVar[int]
    NONCE_COMMITMENT_FIELD_NUMBER: _ClassVar[int]
    BYTE_COUNT_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    scene_id: str
    caption_id: str
    locale: str
    seed: int
    ttl: _duration_pb2.Duration
    policy_version: str
    nonce_commitment: bytes
    byte_count: int
    def __init__(self, request_id: _Optional[str] = ..., scene_id: _Optional[str] = ..., caption_id: _Optional[str] = ..., locale: _Optional[str] = ..., seed: _Optional[int] = ..., ttl: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., policy_version: _Optional[str] = ..., nonce_commitment: _Optional[bytes] = ..., byte_count: _Optional[int] = ...) -> None: ...

class Delivered(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class RenderResponse(_message.Message):
    __slots__ = ("accepted", "scrubbed", "progress", "header", "chunk", "seal", "receipt")
    ACCEPTED_FIELD_NUMBER: _ClassVar[int]
    SCRUBBED_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    HEADER_FIELD_NUMBER: _ClassVar[int]
    CHUNK_FIELD_NUMBER: _ClassVar[int]
    SEAL_FIELD_NUMBER: _ClassVar[int]
    RECEIPT_FIELD_NUMBER: _ClassVar[int]
    accepted: Accepted
    scrubbed: _photo_pb2.ScrubbedHeader
    progress: _photo_pb2.Progress
    header: _photo_pb2.PhotoHeader
    chunk: bytes
    seal: _photo_pb2.PhotoSeal
    receipt: Receipt
    def __init__(self, accepted: _Optional[_Union[Accepted, _Mapping]] = ..., scrubbed: _Optional[_Union[_photo_pb2.ScrubbedHeader, _Mapping]] = ..., progress: _Optional[_Union[_photo_pb2.Progress, _Mapping]] = ..., header: _Optional[_Union[_photo_pb2.PhotoHeader, _Mapping]] = ..., chunk: _Optional[bytes] = ..., seal: _Optional[_Union[_photo_pb2.PhotoSeal, _Mapping]] = ..., receipt: _Optional[_Union[Receipt, _Mapping]] = ...) -> None: ...

class Accepted(_message.Message):
    __slots__ = ("request_id", "photo_id", "expire_time", "resume_token", "max_photo_bytes", "max_chunk_bytes")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    PHOTO_ID_FIELD_NUMBER: _ClassVar[int]
    EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    RESUME_TOKEN_FIELD_NUMBER: _ClassVar[int]
    MAX_PHOTO_BYTES_FIELD_NUMBER: _ClassVar[int]
    MAX_CHUNK_BYTES_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    photo_id: str
    expire_time: _timestamp_pb2.Timestamp
    resume_token: str
    max_photo_bytes: int
    max_chunk_bytes: int
    def __init__(self, request_id: _Optional[str] = ..., photo_id: _Optional[str] = ..., expire_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., resume_token: _Optional[str] = ..., max_photo_bytes: _Optional[int] = ..., max_chunk_bytes: _Optional[int] = ...) -> None: ...

class Receipt(_message.Message):
    __slots__ = ("photo_id", "bundle")
    PHOTO_ID_FIELD_NUMBER: _ClassVar[int]
    BUNDLE_FIELD_NUMBER: _ClassVar[int]
    photo_id: str
    bundle: bytes
    def __init__(self, photo_id: _Optional[str] = ..., bundle: _Optional[bytes] = ...) -> None: ...

class CollectRequest(_message.Message):
    __slots__ = ("photo_id", "resume_token", "claimant", "received_messages", "will_confirm")
    PHOTO_ID_FIELD_NUMBER: _ClassVar[int]
    RESUME_TOKEN_FIELD_NUMBER: _ClassVar[int]
    CLAIMANT_FIELD_NUMBER: _ClassVar[int]
    RECEIVED_MESSAGES_FIELD_NUMBER: _ClassVar[int]
    WILL_CONFIRM_FIELD_NUMBER: _ClassVar[int]
    photo_id: str
    resume_token: str
    claimant: bytes
    received_messages: int
    will_confirm: bool
    def __init__(self, photo_id: _Optional[str] = ..., resume_token: _Optional[str] = ..., claimant: _Optional[bytes] = ..., received_messages: _Optional[int] = ..., will_confirm: _Optional[bool] = ...) -> None: ...

class CollectResponse(_message.Message):
    __slots__ = ("header", "chunk", "seal", "receipt")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    CHUNK_FIELD_NUMBER: _ClassVar[int]
    SEAL_FIELD_NUMBER: _ClassVar[int]
    RECEIPT_FIELD_NUMBER: _ClassVar[int]
    header: _photo_pb2.PhotoHeader
    chunk: bytes
    seal: _photo_pb2.PhotoSeal
    receipt: Receipt
    def __init__(self, header: _Optional[_Union[_photo_pb2.PhotoHeader, _Mapping]] = ..., chunk: _Optional[bytes] = ..., seal: _Optional[_Union[_photo_pb2.PhotoSeal, _Mapping]] = ..., receipt: _Optional[_Union[Receipt, _Mapping]] = ...) -> None: ...

class ConfirmCollectedRequest(_message.Message):
    __slots__ = ("photo_id", "resume_token", "claimant")
    PHOTO_ID_FIELD_NUMBER: _ClassVar[int]
    RESUME_TOKEN_FIELD_NUMBER: _ClassVar[int]
    CLAIMANT_FIELD_NUMBER: _ClassVar[int]
    photo_id: str
    resume_token: str
    claimant: bytes
    def __init__(self, photo_id: _Optional[str] = ..., resume_token: _Optional[str] = ..., claimant: _Optional[bytes] = ...) -> None: ...

class ConfirmCollectedResponse(_message.Message):
    __slots__ = ("receipt",)
    RECEIPT_FIELD_NUMBER: _ClassVar[int]
    receipt: Receipt
    def __init__(self, receipt: _Optional[_Union[Receipt, _Mapping]] = ...) -> None: ...

class RevokeRequest(_message.Message):
    __slots__ = ("photo_id",)
    PHOTO_ID_FIELD_NUMBER: _ClassVar[int]
    photo_id: str
    def __init__(self, photo_id: _Optional[str] = ...) -> None: ...

class RevokeResponse(_message.Message):
    __slots__ = ("receipt",)
    RECEIPT_FIELD_NUMBER: _ClassVar[int]
    receipt: Receipt
    def __init__(self, receipt: _Optional[_Union[Receipt, _Mapping]] = ...) -> None: ...

class RevokeAllRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class RevokeAllResponse(_message.Message):
    __slots__ = ("receipts", "pending_photo_ids")
    RECEIPTS_FIELD_NUMBER: _ClassVar[int]
    PENDING_PHOTO_IDS_FIELD_NUMBER: _ClassVar[int]
    receipts: _containers.RepeatedCompositeFieldContainer[Receipt]
    pending_photo_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, receipts: _Optional[_Iterable[_Union[Receipt, _Mapping]]] = ..., pending_photo_ids: _Optional[_Iterable[str]] = ...) -> None: ...

class ListScenesRequest(_message.Message):
    __slots__ = ("locale", "with_previews")
    LOCALE_FIELD_NUMBER: _ClassVar[int]
    WITH_PREVIEWS_FIELD_NUMBER: _ClassVar[int]
    locale: str
    with_previews: bool
    def __init__(self, locale: _Optional[str] = ..., with_previews: _Optional[bool] = ...) -> None: ...

class ListScenesResponse(_message.Message):
    __slots__ = ("scenes",)
    SCENES_FIELD_NUMBER: _ClassVar[int]
    scenes: _containers.RepeatedCompositeFieldContainer[Scene]
    def __init__(self, scenes: _Optional[_Iterable[_Union[Scene, _Mapping]]] = ...) -> None: ...

class Scene(_message.Message):
    __slots__ = ("scene_id", "kind", "title", "captions", "min_side", "cost", "preview", "preview_media_type")
    SCENE_ID_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    CAPTIONS_FIELD_NUMBER: _ClassVar[int]
    MIN_SIDE_FIELD_NUMBER: _ClassVar[int]
    COST_FIELD_NUMBER: _ClassVar[int]
    PREVIEW_FIELD_NUMBER: _ClassVar[int]
    PREVIEW_MEDIA_TYPE_FIELD_NUMBER: _ClassVar[int]
    scene_id: str
    kind: SceneKind
    title: str
    captions: _containers.RepeatedCompositeFieldContainer[Caption]
    min_side: int
    cost: SceneCost
    preview: bytes
    preview_media_type: str
    def __init__(self, scene_id: _Optional[str] = ..., kind: _Optional[_Union[SceneKind, str]] = ..., title: _Optional[str] = ..., captions: _Optional[_Iterable[_Union[Caption, _Mapping]]] = ..., min_side: _Optional[int] = ..., cost: _Optional[_Union[SceneCost, str]] = ..., preview: _Optional[bytes] = ..., preview_media_type: _Optional[str] = ...) -> None: ...

class Caption(_message.Message):
    __slots__ = ("caption_id", "text")
    CAPTION_ID_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    caption_id: str
    text: str
    def __init__(self, caption_id: _Optional[str] = ..., text: _Optional[str] = ...) -> None: ...

class GetReceiptRequest(_message.Message):
    __slots__ = ("photo_id", "wait_for_inclusion")
    PHOTO_ID_FIELD_NUMBER: _ClassVar[int]
    WAIT_FOR_INCLUSION_FIELD_NUMBER: _ClassVar[int]
    photo_id: str
    wait_for_inclusion: bool
    def __init__(self, photo_id: _Optional[str] = ..., wait_for_inclusion: _Optional[bool] = ...) -> None: ...

class GetReceiptResponse(_message.Message):
    __slots__ = ("receipt",)
    RECEIPT_FIELD_NUMBER: _ClassVar[int]
    receipt: Receipt
    def __init__(self, receipt: _Optional[_Union[Receipt, _Mapping]] = ...) -> None: ...
