"""One shape for all four kinds of RPC, so that each middleware is written once."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Protocol

import grpc

from mesh.context import MethodHandler, ServerContext


@dataclass(frozen=True, slots=True)
class Call:
    """One RPC on its way in."""

    method: str
    """Full name: ``/package.Service/Method``."""
    kind: str
    """unary_unary, unary_stream, stream_unary, stream_stream: what ``grpc_type`` says."""
    context: ServerContext

    @property
    def service_name(self) -> str:
        return self.method.split("/")[1]

    @property
    def method_name(self) -> str:
        return self.method.split("/")[2]


Proceed = Callable[[], Awaitable[Any]]


class Middleware(Protocol):
    """Acts around a call: before, after, or instead of ``proceed()``."""

    async def __call__(self, call: Call, proceed: Proceed) -> Any: ...


class Interceptor(grpc.aio.ServerInterceptor):
    """Runs a chain of middlewares, first one outermost, around every handler.

    serves: told of each method that a server has, its type and its full name, before any is called.
    """

    def __init__(self, chain: Sequence[Middleware], serves: Callable[[str, str], None] = lambda _kind, _method: None):
        self._chain = tuple(chain)
        self._serves = serves

    def announce(self, handlers: Mapping[str, MethodHandler]) -> None:
        """handlers: by full name, what a server has been given."""
        for method, handler in handlers.items():
            self._serves(_kind(handler), method)

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[MethodHandler | None]],
        details: grpc.HandlerCallDetails,
    ) -> MethodHandler | None:
        handler = await continuation(details)
        if handler is None:
            return None
        method = details.method.decode() if isinstance(details.method, bytes) else details.method
        return self._wrap(handler, method)

    def _wrap(self, handler: MethodHandler, method: str) -> MethodHandler:
        kind = _kind(handler)
        behave = getattr(handler, kind)

        async def around(request: Any, context: ServerContext) -> Any:
            proceed = _innermost(behave, request, context)
            for middleware in reversed(self._chain):
                proceed = _around(middleware, Call(method, kind, context), proceed)
            return await proceed()

        make = getattr(grpc, f"{kind}_rpc_method_handler")
        wrapped: MethodHandler = make(around, handler.request_deserializer, handler.response_serializer)
        return wrapped


def _kind(handler: MethodHandler) -> str:
    request = "stream" if handler.request_streaming else "unary"
    response = "stream" if handler.response_streaming else "unary"
    return f"{request}_{response}"


def _around(middleware: Middleware, call: Call, proceed: Proceed) -> Proceed:
    async def step() -> Any:
        return await middleware(call, proceed)

    return step


def _innermost(behave: Callable[..., Any], request: Any, context: ServerContext) -> Proceed:
    async def step() -> Any:
        result = behave(request, context)
        if inspect.isasyncgen(result):
            async with aclosing(result):
                async for message in result:
                    await context.write(message)
            return None
        return await result

    return step
