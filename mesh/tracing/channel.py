"""A channel whose calls carry the trace of whoever makes them.

Not as gRPC's client interceptors: those put a call of their own around a stream, which ``mesh.streams`` can't write to.
"""

from __future__ import annotations

from typing import Any

import grpc

from mesh.tracing import passing

_KINDS = ("unary_unary", "unary_stream", "stream_unary", "stream_stream")


def carrying(channel: grpc.aio.Channel) -> grpc.aio.Channel:
    """The same channel; what it makes callable from now on sends ``traceparent`` along."""
    for kind in _KINDS:
        setattr(channel, kind, _making(getattr(channel, kind)))
    return channel


def _making(make: Any) -> Any:
    def made(*args: Any, **kwargs: Any) -> Any:
        return _calling(make(*args, **kwargs))

    return made


def _calling(call: Any) -> Any:
    def called(*args: Any, metadata: Any = None, **kwargs: Any) -> Any:
        more = passing.outgoing()
        return call(*args, metadata=(*(metadata or ()), *more) if more else metadata, **kwargs)

    return called
