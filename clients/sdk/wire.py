"""The call to the mesh: credentials, channel, and its errors as ours."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import grpc

from mesh import status
from mesh.errors import MeshError
from mesh.frames import MAX_FRAME_BYTES

Metadata = tuple[tuple[str, str], ...]


def open_channel(address: str, ca: bytes | None) -> grpc.aio.Channel:
    """A lazy TLS channel. ca: PEM of the CA to trust; None: the system's."""
    return grpc.aio.secure_channel(
        address,
        grpc.ssl_channel_credentials(ca),
        options=(
            ("grpc.max_receive_message_length", MAX_FRAME_BYTES),
            ("grpc.max_send_message_length", MAX_FRAME_BYTES),
            # A retry would have to keep what was sent: never for a photo.
            ("grpc.enable_retries", 0),
            ("grpc.initial_reconnect_backoff_ms", 200),
            ("grpc.max_reconnect_backoff_ms", 2000),
            ("grpc.keepalive_time_ms", 20_000),
            ("grpc.keepalive_timeout_ms", 10_000),
        ),
    )


def bearer(token: str) -> Metadata:
    return (("authorization", f"Bearer {token}"),)


@contextlib.contextmanager
def as_mesh_errors() -> Iterator[None]:
    """A failed call raises what the mesh meant (mesh/errors.py). ``__cause__`` is gRPC's own error."""
    try:
        yield
    except grpc.RpcError as error:
        raise status.from_rpc(error) from error


def connection_broke(error: MeshError) -> bool:
    """Whether the transport failed, as opposed to the mesh having answered."""
    return isinstance(error, MeshError) and error.reason == "PEER_UNAVAILABLE"
