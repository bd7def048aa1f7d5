from mayfly.photo.v1 import photo_pb2 as _photo_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ServiceClass(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SERVICE_CLASS_UNSPECIFIED: _ClassVar[ServiceClass]
    SERVICE_CLASS_STANDARD: _ClassVar[ServiceClass]
    SERVICE_CLASS_PRIORITY: _ClassVar[ServiceClass]
SERVICE_CLASS_UNSPECIFIED: ServiceClass
SERVICE_CLASS_STANDARD: ServiceClass
SERVICE_CLASS_PRIORITY: ServiceClass

class RenderOptions(_message.Message):
    __slots__ = ("scene_id", "caption_id", "locale", "seed", "owner_tag", "service_class")
    SCENE_ID_FIELD_NUMBER: _ClassVar[int]
    CAPTION_ID_FIELD_NUMBER: _ClassVar[int]
    LOCALE_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    OWNER_TAG_FIELD_NUMBER: _ClassVar[int]
    SERVICE_CLASS_FIELD_NUMBER: _ClassVar[int]
    scene_id: str
    caption_id: str
    locale: str
    seed: int
    owner_tag: bytes
    service_class: ServiceClass
    def __init__(self, scene_id: _Optional[str] = ..., caption_id: _Optional[str] = ..., locale: _Optional[str] = ..., seed: _Optional[int] = ..., owner_tag: _Optional[bytes] = ..., service_class: _Optional[_Union[ServiceClass, str]] = ...) -> None: ...

class ListScenesRequest(_message.Message):
    __slots__ = ("known_edition",)
    KNOWN_EDITION_FIELD_NUMBER: _ClassVar[int]
    known_edition: str
    def __init__(self, known_edition: _Optional[str] = ...) -> None: ...

class ListScenesResponse(_message.Message):
    __slots__ = ("scenes", "edition", "unchanged")
    SCENES_FIELD_NUMBER: _ClassVar[int]
    EDITION_FIELD_NUMBER: _ClassVar[int]
    UNCHANGED_FIELD_NUMBER: _ClassVar[int]
    scenes: _containers.RepeatedCompositeFieldContainer[CatalogueScene]
    edition: str
    unchanged: bool
    def __init__(self, scenes: _Optional[_Iterable[_Union[CatalogueScene, _Mapping]]] = ..., edition: _Optional[str] = ..., unchanged: _Optional[bool] = ...) -> None: ...

class CatalogueScene(_message.Message):
    __slots__ = ("scene_id", "kind", "titles", "captions", "min_side", "cost", "preview", "preview_media_type")
    class TitlesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    SCENE_ID_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    TITLES_FIELD_NUMBER: _ClassVar[int]
    CAPTIONS_FIELD_NUMBER: _ClassVar[int]
    MIN_SIDE_FIELD_NUMBER: _ClassVar[int]
    COST_FIELD_NUMBER: _ClassVar[int]
    PREVIEW_FIELD_NUMBER: _ClassVar[int]
    PREVIEW_MEDIA_TYPE_FIELD_NUMBER: _ClassVar[int]
    scene_id: str
    kind: str
    titles: _containers.ScalarMap[str, str]
    captions: _containers.RepeatedCompositeFieldContainer[CatalogueCaption]
    min_side: int
    cost: str
    preview: bytes
    preview_media_type: str
    def __init__(self, scene_id: _Optional[str] = ..., kind: _Optional[str] = ..., titles: _Optional[_Mapping[str, str]] = ..., captions: _Optional[_Iterable[_Union[CatalogueCaption, _Mapping]]] = ..., min_side: _Optional[int] = ..., cost: _Optional[str] = ..., preview: _Optional[bytes] = ..., preview_media_type: _Optional[str] = ...) -> None: ...

class CatalogueCaption(_message.Message):
    __slots__ = ("caption_id", "texts")
    class TextsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    CAPTION_ID_FIELD_NUMBER: _ClassVar[int]
    TEXTS_FIELD_NUMBER: _ClassVar[int]
    caption_id: str
    texts: _containers.ScalarMap[str, str]
    def __init__(self, caption_id: _Optional[str] = ..., texts: _Optional[_Mapping[str, str]] = ...) -> None: ...
