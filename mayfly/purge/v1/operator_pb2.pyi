import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class PurgeAllRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class PurgeAllResponse(_message.Message):
    __slots__ = ("total", "ended", "elsewhere", "waiting", "irrevocable", "done")
    class WaitingEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    ENDED_FIELD_NUMBER: _ClassVar[int]
    ELSEWHERE_FIELD_NUMBER: _ClassVar[int]
    WAITING_FIELD_NUMBER: _ClassVar[int]
    IRREVOCABLE_FIELD_NUMBER: _ClassVar[int]
    DONE_FIELD_NUMBER: _ClassVar[int]
    total: int
    ended: int
    elsewhere: int
    waiting: _containers.ScalarMap[str, int]
    irrevocable: int
    done: bool
    def __init__(self, total: _Optional[int] = ..., ended: _Optional[int] = ..., elsewhere: _Optional[int] = ..., waiting: _Optional[_Mapping[str, int]] = ..., irrevocable: _Optional[int] = ..., done: _Optional[bool] = ...) -> None: ...

class PauseGrantsRequest(_message.Message):
    __slots__ = ("duration",)
    DURATION_FIELD_NUMBER: _ClassVar[int]
    duration: _duration_pb2.Duration
    def __init__(self, duration: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class PauseGrantsResponse(_message.Message):
    __slots__ = ("until",)
    UNTIL_FIELD_NUMBER: _ClassVar[int]
    until: _timestamp_pb2.Timestamp
    def __init__(self, until: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class CountLeasesRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class CountLeasesResponse(_message.Message):
    __slots__ = ("open",)
    OPEN_FIELD_NUMBER: _ClassVar[int]
    open: int
    def __init__(self, open: _Optional[int] = ...) -> None: ...

class ListIrrevocableRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListIrrevocableResponse(_message.Message):
    __slots__ = ("leases", "total")
    LEASES_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    leases: _containers.RepeatedCompositeFieldContainer[IrrevocableLease]
    total: int
    def __init__(self, leases: _Optional[_Iterable[_Union[IrrevocableLease, _Mapping]]] = ..., total: _Optional[int] = ...) -> None: ...

class IrrevocableLease(_message.Message):
    __slots__ = ("photo_id", "holder", "since")
    PHOTO_ID_FIELD_NUMBER: _ClassVar[int]
    HOLDER_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    photo_id: str
    holder: str
    since: _timestamp_pb2.Timestamp
    def __init__(self, photo_id: _Optional[str] = ..., holder: _Optional[str] = ..., since: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...
