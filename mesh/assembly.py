"""What every service is assembled from, in the one order that works: identity, metrics, health, ops, custody."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import grpc

from mesh.app import App, Component
from mesh.build import VERSION
from mesh.channel import open_channel
from mesh.clock import Clock, SystemClock
from mesh.config import MeshSettings
from mesh.custody.attendance import Attendance
from mesh.custody.book import CustodyBook
from mesh.forgetting.sweep import Rinse, Sweep
from mesh.health import HEALTH_METHODS, Health
from mesh.identity import AllowList, Identity
from mesh.isolation import policy
from mesh.lockdown.locking import Lockdown
from mesh.lockdown.policy import PERMISSIVE, accept
from mesh.log import get_logger
from mesh.metrics import MeshMetrics
from mesh.middleware import chain
from mesh.middleware.call import Interceptor
from mesh.ops import OpsServer
from mesh.server import Server
from mesh.tracing import spans
from mesh.tracing.channel import carrying

_log = get_logger()
# Whoever has a certificate of the mesh may ask for health.
_EVERYBODY = frozenset({"gateway", "ingest", "render", "purge", "auditor", "prometheus"})

EDGE_IDLE_SECONDS = 0.25
"""A phone's connection outlives its last call by so much: its buffers hold the photo's last bytes, and nobody can be
asked to rinse them."""


class Assembly:
    """The parts that all services share."""

    def __init__(self, service: str, settings: MeshSettings, lockdown: Lockdown, clock: Clock | None = None) -> None:
        self.service = service
        self.settings = settings
        self.clock: Clock = clock or SystemClock()
        self.lockdown = lockdown
        self.controls = dict(lockdown.controls)
        self.identity = Identity.load(
            cert=settings.tls_cert,
            key=settings.tls_key,
            ca=settings.tls_ca,
            trust_domain=settings.trust_domain,
            service=service,
        )
        self.metrics = MeshMetrics(service, VERSION)
        self._show(self.controls)
        self._show({PERMISSIVE: lockdown.strictness == "permissive"})
        self.metrics.lockdown.labels(service, "no_swap").set_function(lockdown.swap_is_kept_out)
        self.health = Health()
        self.health.checks["lockdown"] = lambda: self._sealed and lockdown.still_holds()
        self._sealed = False
        self._exporting: Sequence[Component] = self._trace()
        self.ops = ops_server(settings, self.metrics, self.health)

    def _trace(self) -> Sequence[Component]:
        """What sends spans; nothing where nobody wants them. ConfigError if it can't be what the settings say."""
        if self.settings.tracing == "off":
            return ()
        # Large, an extra, and not there where it isn't wanted.
        from mesh.tracing.otlp import Otlp  # noqa: PLC0415

        return (Otlp(self.settings, self.service, self.metrics),)

    def isolate(self) -> None:
        """For a service that decodes: its workers' controls join its own. Call it before ``custody``.

        Raises ConfigError where the kernel lacks one and the lockdown is strict.
        """
        controls = policy.available()
        accept(controls, self.lockdown.strictness)
        self._show(controls)
        self.controls |= controls

    @property
    def controls_in_force(self) -> list[str]:
        """For receipts."""
        served_anyway = [PERMISSIVE] if self.lockdown.strictness == "permissive" else []
        return [control for control, in_force in self.controls.items() if in_force] + served_anyway

    def _show(self, controls: Mapping[str, bool]) -> None:
        for control, in_force in controls.items():
            self.metrics.lockdown.labels(self.service, control).set(in_force)

    def all_listen(self) -> None:
        """Called once all servers of the process listen; from here on it can be ready. ConfigError as ``isolate``."""
        self._show(self.lockdown.end_listening())
        self._sealed = True

    def channel(self, service: str, address: str) -> grpc.aio.Channel:
        """A channel to a peer. Must be called with an event loop running."""
        channel = open_channel(address, self.identity, service)
        return carrying(channel) if spans.is_on() else channel

    def custody(
        self, registry_target: Sequence[str], processors: Sequence[str] = ()
    ) -> tuple[CustodyBook, Attendance, ClosingChannels]:
        """This process's custody book, the streams that purge hears of it by, and the channels, one to each replica."""
        book = CustodyBook(self.service, self.clock, self.metrics)
        channels = {target: self.channel("purge", target) for target in registry_target}
        attendance = Attendance(
            book,
            channels,
            instance=self.settings.instance,
            lockdown_controls=self.controls_in_force,
            processors=processors,
        )
        self.health.checks["custody_stream"] = book.is_attended
        return book, attendance, ClosingChannels(channels)

    def sweep(self, book: CustodyBook, rinses: Sequence[Rinse] = ()) -> Sweep:
        """What clears this process's memory after each photo. rinses: of the connections that photos pass over."""
        sweep = Sweep(self.clock, self.metrics, self.service, rinses)
        book.after_release = sweep.soon
        return sweep

    def inside_server(self, allowed: AllowList) -> Server:
        """A server that only listed services may call."""
        allowed = {**dict.fromkeys(HEALTH_METHODS, _EVERYBODY), **_reflection(self.settings), **allowed}
        interceptor = chain.inside(self.metrics, allowed, self.settings.trust_domain)
        return self.server(self.identity.server_credentials(), interceptor)

    def edge_server(self, cert: Path, key: Path) -> Server:
        """A server for people's apps: TLS with a certificate of its own; they have tokens and no certificates."""
        credentials = grpc.ssl_server_credentials([(key.read_bytes(), cert.read_bytes())])
        return self.server(credentials, chain.edge(self.metrics), idle_seconds=EDGE_IDLE_SECONDS)

    def server(
        self, credentials: grpc.ServerCredentials, interceptor: Interceptor, idle_seconds: float = 0.0
    ) -> Server:
        return Server(
            address=self.settings.listen,
            credentials=credentials,
            interceptor=interceptor,
            health=self.health,
            max_concurrent_streams=self.settings.max_concurrent_streams,
            drain_seconds=self.settings.drain_seconds,
            idle_seconds=idle_seconds,
        )

    def app(self, *components: Component, server: Server) -> App:
        """Ops first, so that a slow start can be watched; the server last, so that it never serves half a process.

        Who sends spans is between them: it stops when nothing makes any.
        """

        def describe() -> dict[str, str]:
            host = self.settings.listen.rpartition(":")[0]
            return {"address": f"{host}:{server.port}", "ops_address": self.ops.address}

        app = App(describe, self.all_listen)
        app.add(self.ops, *self._exporting, *components, self.health, server)
        return app


def ops_server(settings: MeshSettings, metrics: MeshMetrics, health: Health) -> OpsServer:
    """As the settings say; open to everybody only with a shout. Raises ConfigError."""
    metrics.ops_open.set(settings.ops_is_open)
    if settings.ops_is_open:
        _log.critical("ops_port_open")
    tls = settings.mutual_tls() if settings.ops_tls == "mutual" else None
    return OpsServer(settings.ops_listen, metrics.registry, health, tls)


class ClosingChannel:
    """A component that closes a channel at the stop."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self.channel = channel

    async def start(self) -> None:
        """Channels connect when they are first used."""

    async def stop(self) -> None:
        await self.channel.close()


class ClosingChannels:
    """As ``ClosingChannel``, for the replicas of one service. channels: by address."""

    def __init__(self, channels: Mapping[str, grpc.aio.Channel]) -> None:
        self.channels = channels

    async def start(self) -> None:
        """Channels connect when they are first used."""

    async def stop(self) -> None:
        for channel in self.channels.values():
            await channel.close()


def _reflection(settings: MeshSettings) -> Mapping[str, frozenset[str]]:
    if not settings.reflection:
        return {}
    return {"/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": _EVERYBODY}
