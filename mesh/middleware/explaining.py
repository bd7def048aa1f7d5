"""Turns typed errors into statuses, and everything else into INTERNAL with a bare message and a log line."""

from __future__ import annotations

import asyncio
from typing import Any, NoReturn

import grpc

from mesh import status
from mesh.errors import Internal, MeshError
from mesh.log import error_at, get_logger
from mesh.middleware.call import Call, Proceed
from mesh.tracing import spans

_log = get_logger()
_HANG_UP_SECONDS = 0.25


class Explaining:
    """The one place where an exception becomes a status."""

    async def __call__(self, call: Call, proceed: Proceed) -> Any:
        try:
            return await proceed()
        except MeshError as error:
            spans.failed(error)
            await status.abort(call.context, error)
        except grpc.aio.AioRpcError as error:
            meant = status.from_rpc(error)
            spans.failed(meant)
            await status.abort(call.context, meant)
        except grpc.aio.AbortError:
            raise
        except grpc.aio.InternalError as error:
            # gRPC failed a read or a write: nearly always because the caller hung up, and then it cancels this task
            # within moments. If it doesn't, it's a bug like any other.
            await asyncio.sleep(_HANG_UP_SECONDS)
            await self._unexpected(call, error)
        except Exception as error:
            await self._unexpected(call, error)

    async def _unexpected(self, call: Call, error: Exception) -> NoReturn:
        spans.failed(error)
        _log.error("internal_error", method=call.method, error_type=type(error).__name__, error_at=error_at(error))
        await status.abort(call.context, Internal("INTERNAL", "Internal error."))
