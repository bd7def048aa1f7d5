import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class PhotoFormat(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PHOTO_FORMAT_UNSPECIFIED: _ClassVar[PhotoFormat]
    PHOTO_FORMAT_JPEG: _ClassVar[PhotoFormat]
    PHOTO_FORMAT_PNG: _ClassVar[PhotoFormat]
    PHOTO_FORMAT_WEBP: _ClassVar[PhotoFormat]
    PHOTO_FORMAT_GIF: _ClassVar[PhotoFormat]

class ColorSpace(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    COLOR_SPACE_UNSPECIFIED: _ClassVar[ColorSpace]
    COLOR_SPACE_SRGB: _ClassVar[ColorSpace]
    COLOR_SPACE_DISPLAY_P3: _ClassVar[ColorSpace]
    COLOR_SPACE_ADOBE_RGB: _ClassVar[ColorSpace]
    COLOR_SPACE_ASSUMED_SRGB: _ClassVar[ColorSpace]

class Stage(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    STAGE_UNSPECIFIED: _ClassVar[Stage]
    STAGE_QUEUED: _ClassVar[Stage]
    STAGE_RENDERING: _ClassVar[Stage]
PHOTO_FORMAT_UNSPECIFIED: PhotoFormat
PHOTO_FORMAT_JPEG: PhotoFormat
PHOTO_FORMAT_PNG: PhotoFormat
PHOTO_FORMAT_WEBP: PhotoFormat
PHOTO_FORMAT_GIF: PhotoFormat
COLOR_SPACE_UNSPECIFIED: ColorSpace
COLOR_SPACE_SRGB: ColorSpace
COLOR_SPACE_DISPLAY_P3: ColorSpace
COLOR_SPACE_ADOBE_RGB: ColorSpace
COLOR_SPACE_ASSUMED_SRGB: ColorSpace
STAGE_UNSPECIFIED: Stage
STAGE_QUEUED: Stage
STAGE_RENDERING: Stage

class PhotoFrame(_message.Message):
    __slots__ = ("header", "chunk", "seal", "progress", "replay")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    CHUNK_FIELD_NUMBER: _ClassVar[int]
    SEAL_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    REPLAY_FIELD_NUMBER: _ClassVar[int]
    header: PhotoHeader
    chunk: bytes
    seal: PhotoSeal
    progress: Progress
    replay: Replay
    def __init__(self, header: _Optional[_Union[PhotoHeader, _Mapping]] = ..., chunk: _Optional[bytes] = ..., seal: _Optional[_Union[PhotoSeal, _Mapping]] = ..., progress: _Optional[_Union[Progress, _Mapping]] = ..., replay: _Optional[_Union[Replay, _Mapping]] = ...) -> None: ...

class PhotoHeader(_message.Message):
    __slots__ = ("scrubbed", "picture")
    SCRUBBED_FIELD_NUMBER: _ClassVar[int]
    PICTURE_FIELD_NUMBER: _ClassVar[int]
    scrubbed: ScrubbedHeader
    picture: PictureHeader
    def __init__(self, scrubbed: _Optional[_Union[ScrubbedHeader, _Mapping]] = ..., picture: _Optional[_Union[PictureHeader, _Mapping]] = ...) -> None: ...

class ScrubbedHeader(_message.Message):
    __slots__ = ("format", "width", "height", "orientation", "has_alpha", "color_space", "ai_generated", "removed", "converted_from")
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    ORIENTATION_FIELD_NUMBER: _ClassVar[int]
    HAS_ALPHA_FIELD_NUMBER: _ClassVar[int]
    COLOR_SPACE_FIELD_NUMBER: _ClassVar[int]
    AI_GENERATED_FIELD_NUMBER: _ClassVar[int]
    REMOVED_FIELD_NUMBER: _ClassVar[int]
    CONVERTED_FROM_FIELD_NUMBER: _ClassVar[int]
    format: PhotoFormat
    width: int
    height: int
    orientation: int
    has_alpha: bool
    color_space: ColorSpace
    ai_generated: bool
    removed: _containers.RepeatedCompositeFieldContainer[RemovedMetadata]
    converted_from: str
    def __init__(self, format: _Optional[_Union[PhotoFormat, str]] = ..., width: _Optional[int] = ..., height: _Optional[int] = ..., orientation: _Optional[int] = ..., has_alpha: _Optional[bool] = ..., color_space: _Optional[_Union[ColorSpace, str]] = ..., ai_generated: _Optional[bool] = ..., removed: _Optional[_Iterable[_Union[RemovedMetadata, _Mapping]]] = ..., converted_from: _Optional[str] = ...) -> None: ...

class RemovedMetadata(_message.Message):
    __slots__ = ("kind", "byte_count")
    KIND_FIELD_NUMBER: _ClassVar[int]
    BYTE_COUNT_FIELD_NUMBER: _ClassVar[int]
    kind: str
    byte_count: int
    def __init__(self, kind: _Optional[str] = ..., byte_count: _Optional[int] = ...) -> None: ...

class PhotoSeal(_message.Message):
    __slots__ = ("byte_count", "attestation")
    BYTE_COUNT_FIELD_NUMBER: _ClassVar[int]
    ATTESTATION_FIELD_NUMBER: _ClassVar[int]
    byte_count: int
    attestation: Attestation
    def __init__(self, byte_count: _Optional[int] = ..., attestation: _Optional[_Union[Attestation, _Mapping]] = ...) -> None: ...

class Attestation(_message.Message):
    __slots__ = ("scrubbed_header", "signature", "certificate")
    SCRUBBED_HEADER_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    CERTIFICATE_FIELD_NUMBER: _ClassVar[int]
    scrubbed_header: bytes
    signature: bytes
    certificate: bytes
    def __init__(self, scrubbed_header: _Optional[bytes] = ..., signature: _Optional[bytes] = ..., certificate: _Optional[bytes] = ...) -> None: ...

class PictureHeader(_message.Message):
    __slots__ = ("media_type", "width", "height", "byte_count")
    MEDIA_TYPE_FIELD_NUMBER: _ClassVar[int]
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    BYTE_COUNT_FIELD_NUMBER: _ClassVar[int]
    media_type: str
    width: int
    height: int
    byte_count: int
    def __init__(self, media_type: _Optional[str] = ..., width: _Optional[int] = ..., height: _Optional[int] = ..., byte_count: _Optional[int] = ...) -> None: ...

class Progress(_message.Message):
    __slots__ = ("stage", "step", "fraction", "queue_position", "remaining")
    STAGE_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    FRACTION_FIELD_NUMBER: _ClassVar[int]
    QUEUE_POSITION_FIELD_NUMBER: _ClassVar[int]
    REMAINING_FIELD_NUMBER: _ClassVar[int]
    stage: Stage
    step: str
    fraction: float
    queue_position: int
    remaining: _duration_pb2.Duration
    def __init__(self, stage: _Optional[_Union[Stage, str]] = ..., step: _Optional[str] = ..., fraction: _Optional[float] = ..., queue_position: _Optional[int] = ..., remaining: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class Replay(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...
