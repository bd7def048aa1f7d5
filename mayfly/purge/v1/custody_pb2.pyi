import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class CustodyChange(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CUSTODY_CHANGE_UNSPECIFIED: _ClassVar[CustodyChange]
    CUSTODY_CHANGE_HELD: _ClassVar[CustodyChange]
    CUSTODY_CHANGE_RELEASED: _ClassVar[CustodyChange]
    CUSTODY_CHANGE_REVOCATION_CONFIRMED: _ClassVar[CustodyChange]
CUSTODY_CHANGE_UNSPECIFIED: CustodyChange
CUSTODY_CHANGE_HELD: CustodyChange
CUSTODY_CHANGE_RELEASED: CustodyChange
CUSTODY_CHANGE_REVOCATION_CONFIRMED: CustodyChange

class CustodyReport(_message.Message):
    __slots__ = ("hello", "batch")
    HELLO_FIELD_NUMBER: _ClassVar[int]
    BATCH_FIELD_NUMBER: _ClassVar[int]
    hello: HolderHello
    batch: CustodyBatch
    def __init__(self, hello: _Optional[_Union[HolderHello, _Mapping]] = ..., batch: _Optional[_Union[CustodyBatch, _Mapping]] = ...) -> None: ...

class HolderHello(_message.Message):
    __slots__ = ("instance", "epoch", "held_photo_ids", "lockdown_controls", "processors")
    INSTANCE_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    HELD_PHOTO_IDS_FIELD_NUMBER: _ClassVar[int]
    LOCKDOWN_CONTROLS_FIELD_NUMBER: _ClassVar[int]
    PROCESSORS_FIELD_NUMBER: _ClassVar[int]
    instance: str
    epoch: str
    held_photo_ids: _containers.RepeatedScalarFieldContainer[str]
    lockdown_controls: _containers.RepeatedScalarFieldContainer[str]
    processors: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, instance: _Optional[str] = ..., epoch: _Optional[str] = ..., held_photo_ids: _Optional[_Iterable[str]] = ..., lockdown_controls: _Optional[_Iterable[str]] = ..., processors: _Optional[_Iterable[str]] = ...) -> None: ...

class CustodyBatch(_message.Message):
    __slots__ = ("sequence", "events")
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    sequence: int
    events: _containers.RepeatedCompositeFieldContainer[CustodyEvent]
    def __init__(self, sequence: _Optional[int] = ..., events: _Optional[_Iterable[_Union[CustodyEvent, _Mapping]]] = ...) -> None: ...

class CustodyEvent(_message.Message):
    __slots__ = ("photo_id", "change", "held_micros", "registry")
    PHOTO_ID_FIELD_NUMBER: _ClassVar[int]
    CHANGE_FIELD_NUMBER: _ClassVar[int]
    HELD_MICROS_FIELD_NUMBER: _ClassVar[int]
    REGISTRY_FIELD_NUMBER: _ClassVar[int]
    photo_id: str
    change: CustodyChange
    held_micros: int
    registry: str
    def __init__(self, photo_id: _Optional[str] = ..., change: _Optional[_Union[CustodyChange, str]] = ..., held_micros: _Optional[int] = ..., registry: _Optional[str] = ...) -> None: ...

class CustodyCommand(_message.Message):
    __slots__ = ("acknowledgement", "revocation")
    ACKNOWLEDGEMENT_FIELD_NUMBER: _ClassVar[int]
    REVOCATION_FIELD_NUMBER: _ClassVar[int]
    acknowledgement: Acknowledgement
    revocation: Revocation
    def __init__(self, acknowledgement: _Optional[_Union[Acknowledgement, _Mapping]] = ..., revocation: _Optional[_Union[Revocation, _Mapping]] = ...) -> None: ...

class Acknowledgement(_message.Message):
    __slots__ = ("sequence", "registry")
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    REGISTRY_FIELD_NUMBER: _ClassVar[int]
    sequence: int
    registry: str
    def __init__(self, sequence: _Optional[int] = ..., registry: _Optional[str] = ...) -> None: ...

class Revocation(_message.Message):
    __slots__ = ("photo_id", "expire_time")
    PHOTO_ID_FIELD_NUMBER: _ClassVar[int]
    EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    photo_id: str
    expire_time: _timestamp_pb2.Timestamp
    def __init__(self, photo_id: _Optional[str] = ..., expire_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...
