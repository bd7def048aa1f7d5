"""The status that a call has failed with, for whoever counts or records it."""

from __future__ import annotations

import grpc

from mesh.context import ServerContext


def code(context: ServerContext) -> grpc.StatusCode:
    """What ``abort`` has set; a handler that was cancelled has set nothing."""
    found: object = context.code()  # typed as a StatusCode; after abort it is the number
    for known in grpc.StatusCode:
        if found in (known, known.value[0]) and known is not grpc.StatusCode.OK:
            return known
    return grpc.StatusCode.CANCELLED
