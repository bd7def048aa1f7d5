"""gRPC servers: one set of options, so that what is buffered for a photo is bounded and known."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import grpc
from grpc_reflection.v1alpha import reflection

from mesh.errors import ConfigError
from mesh.frames import MAX_FRAME_BYTES
from mesh.health import Health
from mesh.middleware.call import Interceptor

# What a peer may push past a stalled reader is the stream's window. With the bandwidth probe on it grows to
# several MB; off, it stays at what is said here (design, section 6).
LOOKAHEAD_BYTES = 1 << 20
FLOW_CONTROL = (("grpc.http2.bdp_probe", 0), ("grpc.http2.lookahead_bytes", LOOKAHEAD_BYTES))


class Server:
    """A component: a grpc.aio server on one address."""

    def __init__(
        self,
        *,
        address: str,
        credentials: grpc.ServerCredentials,
        interceptor: Interceptor,
        health: Health,
        max_concurrent_streams: int,
        drain_seconds: float,
        idle_seconds: float = 0.0,
    ) -> None:
        """idle_seconds: a connection without a call is closed after so long, and its buffers freed; 0: never."""
        self._address = address
        self._credentials = credentials
        self._drain_seconds = drain_seconds
        self._health = health
        self.port = 0
        self.grpc = grpc.aio.server(
            interceptors=(interceptor,),
            options=(
                *FLOW_CONTROL,
                ("grpc.max_receive_message_length", MAX_FRAME_BYTES),
                ("grpc.max_send_message_length", MAX_FRAME_BYTES),
                ("grpc.max_concurrent_streams", max_concurrent_streams),
                ("grpc.max_metadata_size", 8192),
                *([("grpc.max_connection_idle_ms", round(idle_seconds * 1000))] if idle_seconds else []),
                # Two processes on one port would share the callers between them without anybody noticing.
                ("grpc.so_reuseport", 0),
                # A peer that vanished without a word is noticed within about half a minute.
                ("grpc.keepalive_time_ms", 20_000),
                ("grpc.keepalive_timeout_ms", 10_000),
                ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
                # Without it, the pings of a peer that has no call open count as abuse: GOAWAY, too_many_pings.
                ("grpc.keepalive_permit_without_calls", 1),
            ),
        )
        _announce(self.grpc, interceptor)
        health.add_to(self.grpc)

    def serve_reflection(self, services: Sequence[str]) -> None:
        """Describes ``services`` to whoever asks (development only)."""
        reflection.enable_server_reflection((*services, reflection.SERVICE_NAME), self.grpc)

    async def start(self) -> None:
        try:
            self.port = self.grpc.add_secure_port(self._address, self._credentials)
        except RuntimeError:
            raise ConfigError(f"MAYFLY_LISTEN: {self._address} can't be bound; is it in use?") from None
        await self.grpc.start()

    async def stop(self) -> None:
        """No new calls; those in flight have ``drain_seconds`` to end."""
        await self._health.drain()
        await self.grpc.stop(self._drain_seconds)


def _announce(server: grpc.aio.Server, interceptor: Interceptor) -> None:
    """From now on the interceptor hears of each method that the server is given, by generated code too."""
    add = server.add_generic_rpc_handlers

    def announced(handlers: Iterable[grpc.GenericRpcHandler]) -> None:
        given = tuple(handlers)
        for handler in given:
            # gRPC's own handlers don't say what they have; a test sees if this name goes.
            interceptor.announce(handler._method_handlers)  # type: ignore[attr-defined]
        add(given)

    server.add_generic_rpc_handlers = announced  # type: ignore[method-assign,assignment]
