"""Channels to peers: mutual TLS, the peer's name checked, reconnecting quickly, buffering little."""

from __future__ import annotations

import grpc

from mesh.frames import MAX_FRAME_BYTES
from mesh.identity import Identity, tls_name
from mesh.server import FLOW_CONTROL


def open_channel(address: str, identity: Identity, service: str) -> grpc.aio.Channel:
    """A lazy channel to ``service`` at ``address``; the peer must present that service's certificate."""
    return grpc.aio.secure_channel(
        address,
        identity.channel_credentials(),
        options=(
            *FLOW_CONTROL,
            ("grpc.ssl_target_name_override", tls_name(service)),
            ("grpc.max_receive_message_length", MAX_FRAME_BYTES),
            ("grpc.max_send_message_length", MAX_FRAME_BYTES),
            ("grpc.initial_reconnect_backoff_ms", 100),
            ("grpc.min_reconnect_backoff_ms", 100),
            ("grpc.max_reconnect_backoff_ms", 1000),
            ("grpc.keepalive_time_ms", 20_000),
            ("grpc.keepalive_timeout_ms", 10_000),
            ("grpc.keepalive_permit_without_calls", 1),
            # Retries would have to keep what was sent: never for a stream that carries a photo.
            ("grpc.enable_retries", 0),
            ("grpc.use_local_subchannel_pool", 1),
        ),
    )
