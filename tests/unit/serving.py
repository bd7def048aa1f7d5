"""What tests of the plumbing and of servicers share: identities of a CA of their own, real servers and channels
between them in this process, and a clock that stands still until it is told to go on.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from typing import Any

import grpc
from cryptography import x509

from clients.local.authority import KeyPair, loopback_names, new_authority, new_leaf, utc_now
from mesh.channel import open_channel
from mesh.clock import Clock, SystemClock
from mesh.custody.book import CustodyBook, CustodyListener, LeaseRef
from mesh.errors import MeshError
from mesh.health import HEALTH_METHODS, Health
from mesh.identity import AllowList, Identity, spiffe_id, tls_name
from mesh.metrics import MeshMetrics
from mesh.middleware import chain
from mesh.middleware.call import Interceptor
from mesh.server import Server
from mesh.status import from_rpc
from mesh.testing.wait import eventually

TRUST_DOMAIN = "mayfly.test"
PURGE = "purge:9000"
"""Where books believe the one replica of purge to be, unless a test says otherwise."""
CANARY = "CANARY-7f3a-must-not-be-seen"


def authority(name: str = "ours") -> KeyPair:
    """A CA; another name is another CA."""
    return _authority(name)


@cache
def _authority(_name: str) -> KeyPair:
    return new_authority(utc_now())


def leaf(service: str, *, ca: str = "ours", spiffe: bool = True, days_ago: int = 0) -> KeyPair:
    """A certificate for ``service``, made so many days ago (they last 7)."""
    names: list[x509.GeneralName] = [x509.DNSName(tls_name(service)), *loopback_names()]
    if spiffe:
        names.append(x509.UniformResourceIdentifier(spiffe_id(TRUST_DOMAIN, service)))
    return new_leaf(authority(ca), service, names, utc_now() - timedelta(days=days_ago))


@cache
def identity(service: str, ca: str = "ours") -> Identity:
    pair = leaf(service, ca=ca)
    return Identity(pair.certificate_pem(), pair.key_pem(), authority(ca).certificate_pem(), TRUST_DOMAIN)


class FakeClock:
    """Stands still. ``sleep`` returns once the time has been advanced so far."""

    def __init__(self, now: float = 1_750_000_000.0) -> None:
        self.now = now
        self._changed = asyncio.Event()

    def wall(self) -> float:
        return self.now

    def monotonic(self) -> float:
        return self.now - 1_000_000_000.0

    async def sleep(self, seconds: float) -> None:
        until = self.now + seconds
        while self.now < until:
            self._changed.clear()
            await self._changed.wait()

    def advance(self, seconds: float) -> None:
        self.now += seconds
        self._changed.set()


class HastyClock(SystemClock):
    """The real time, but nobody sleeps."""

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)


@dataclass
class Recorder(CustodyListener):
    """What the book has said, in order."""

    events: list[tuple[str, str]] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def held(self, lease: LeaseRef) -> None:
        self._note("held", lease.photo_id)

    def released(self, lease: LeaseRef, seconds: float) -> None:
        self._note("released", lease.photo_id)

    def revocation_confirmed(self, lease: LeaseRef) -> None:
        self._note("confirmed", lease.photo_id)

    def _note(self, what: str, photo_id: str) -> None:
        self.events.append((what, photo_id))
        self.changed.set()

    def said(self, what: str) -> int:
        return sum(event == what for event, _ in self.events)


def new_metrics(service: str = "ingest") -> MeshMetrics:
    return MeshMetrics(service, "test")


def new_book(service: str = "ingest", clock: Clock | None = None, *, attended: bool = True) -> CustodyBook:
    """A book to which somebody listens, with a recorder."""
    book = CustodyBook(service, clock or SystemClock(), new_metrics(service))
    if attended:
        book.attend(PURGE)
    book.listener = Recorder()
    return book


def new_lease(seconds: float = 60.0, clock: Clock | None = None) -> LeaseRef:
    return LeaseRef(secrets.token_hex(16), (clock or SystemClock()).wall() + seconds)


def drop_all(book: CustodyBook, error: MeshError) -> None:
    """What ``book`` holds must go, and its work ends with ``error``."""
    for custody in list(book._held.values()):
        custody.drop(error, "revoked")


def sample(metrics: MeshMetrics, name: str, **labels: str) -> float:
    """A metric's value; 0 if it has none yet."""
    return metrics.registry.get_sample_value(name, labels) or 0.0


@asynccontextmanager
async def served(
    register: Callable[[grpc.aio.Server], None],
    *,
    service: str,
    allowed: AllowList | None = None,
    metrics: MeshMetrics | None = None,
    credentials: grpc.ServerCredentials | None = None,
    interceptor: Interceptor | None = None,
    health: Health | None = None,
) -> AsyncIterator[str]:
    """A server of the mesh on loopback, with the mesh's options and middleware; yields its address."""
    allowed = {**dict.fromkeys(HEALTH_METHODS, frozenset({"gateway"})), **(allowed or {})}
    health = health or Health()
    server = Server(
        address="127.0.0.1:0",
        credentials=credentials or identity(service).server_credentials(),
        interceptor=interceptor or chain.inside(metrics or new_metrics(service), allowed, TRUST_DOMAIN),
        health=health,
        max_concurrent_streams=64,
        drain_seconds=0,
    )
    register(server.grpc)
    await health.start()
    await server.start()
    try:
        yield f"127.0.0.1:{server.port}"
    finally:
        await server.stop()
        await health.stop()


@asynccontextmanager
async def calling(address: str, service: str, *, caller: str = "gateway", ca: str = "ours") -> AsyncIterator[Any]:
    """A channel of the mesh to ``service``."""
    channel = open_channel(address, identity(caller, ca), service)
    try:
        yield channel
    finally:
        await channel.close()


def generic(service: str, handlers: Mapping[str, Any]) -> Callable[[grpc.aio.Server], None]:
    """Registers hand-made handlers."""

    def register(server: grpc.aio.Server) -> None:
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, dict(handlers)),))

    return register


async def error_of(call: Any) -> MeshError:
    """The typed error that a call ended with, read to its end."""
    try:
        if hasattr(call, "read"):
            while isinstance(await call.read(), bytes):
                pass
            code = await call.code()
            if code is grpc.StatusCode.OK:
                raise AssertionError("the call ended well")
            raise grpc.aio.AioRpcError(code, grpc.aio.Metadata(), await call.trailing_metadata(), await call.details())
        await call
    except grpc.aio.AioRpcError as error:
        return from_rpc(error)
    raise AssertionError("the call ended well")


async def no_tasks_beside(before: set[asyncio.Task[Any]]) -> None:
    """Until no task is left that wasn't there before; fails, with their names, after a while."""
    known = {*before, asyncio.current_task()}

    def left() -> list[str]:
        return [str(task.get_coro()) for task in asyncio.all_tasks() if task not in known and not task.done()]

    try:
        await eventually(lambda: not left(), within=3)
    except AssertionError:
        raise AssertionError(f"still running: {left()}") from None
