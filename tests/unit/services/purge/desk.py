"""Purge without its servers, over a real Valkey and a real log, and a holder that reports to it."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from prometheus_client import CollectorRegistry

from clients.verify import recount
from mesh.clock import Clock, SystemClock
from mesh.testing.wait import eventually
from mesh.transparency.note import Signer
from services.purge.address import RedisAddress
from services.purge.core import Core
from services.purge.custody import Command, Event, Revoke, Session
from services.purge.grants import Terms, Wish
from services.purge.hello import Hello
from services.purge.log import Log
from services.purge.metrics import PurgeMetrics
from services.purge.receipt import LoggedReceipt, Receipt, parse_entry
from services.purge.record import Grant
from services.purge.shards import Shards
from tests.unit.services.purge.world import SECRET, sha256

OWNER = b"o" * 32
ORIGIN = "test.example/log"
_KEYS = (Ed25519PrivateKey.generate(), Signer(ORIGIN, Ed25519PrivateKey.generate()))


@dataclass
class Desk:
    """One running purge."""

    core: Core
    log: Log
    metrics: CollectorRegistry

    async def grant(self, ttl: float = 30.0, **wish: object) -> Grant:
        verifier = bytes.fromhex(sha256(SECRET))
        return await self.core.grants.grant(
            Wish(**{"owner_digest": OWNER, "claim_verifier": verifier, "ttl": ttl} | wish)
        )  # type: ignore[arg-type]

    def metric(self, name: str, **labels: str) -> float:
        value = self.metrics.get_sample_value(name, labels)
        assert value is not None, (name, labels)
        return value

    def receipts(self) -> dict[str, Receipt]:
        """Every receipt in the log; asserts that no lease has two."""
        parsed = [parse_entry(entry) for entry in self.log.iterate()]
        receipts = [entry.receipt() for entry in parsed if isinstance(entry, LoggedReceipt)]
        assert len({r.photo_id for r in receipts}) == len(receipts)
        return {r.photo_id: r for r in receipts}

    async def receipt_of(self, photo_id: str, within: float = 5.0) -> Receipt:
        """From the log, once it is there."""
        return (await eventually(lambda: self.receipts().get(photo_id) and self.receipts(), within=within))[photo_id]

    async def conserved(self) -> None:
        """R6, recounted from the log alone: admitted = live + ended. Purge's view follows the log within a moment."""
        assert recount(self.log.iterate()).conserved
        await eventually(lambda: set(recount(self.log.iterate()).open) == {entry.photo_id for entry in self.core.book})


@contextlib.asynccontextmanager
async def desk(
    redis: str,
    directory: Path,
    *,
    clock: Clock | None = None,
    terms: Terms | None = None,
    start: bool = True,
    parked_limit: int = 1 << 22,
    name: str = "purge-0",
    shards: Shards | None = None,
) -> AsyncIterator[Desk]:
    """A purge that is stopped in the end; leases that are live then stay so. name, shards: of one of several."""
    clock, metrics = clock or SystemClock(), CollectorRegistry()
    log = Log.open(directory, origin=ORIGIN, signer=_KEYS[1], clock=clock, interval=0.02)
    core = Core(
        redis=RedisAddress(redis),
        log=log,
        key=_KEYS[0],
        terms=terms or Terms(),
        parked_limit=parked_limit,
        clock=clock,
        metrics=PurgeMetrics(metrics),
        name=name,
        shards=shards,
    )
    if start:
        await core.start()
    try:
        yield Desk(core, log, metrics)
    finally:
        await core.endings._tasks.cancel()  # a test doesn't wait for holders that it left behind
        await core.stop()


class Holder:
    """A service's process, as far as purge hears of it."""

    def __init__(self, core: Core, service: str = "ingest", instance: str = "", epoch: str = "") -> None:
        self.core = core
        self.service = service
        self.instance = instance or f"{service}-0"
        self.epoch = epoch or secrets.token_hex(8)
        self.name = f"{self.service}/{self.instance}/{self.epoch}"
        self.sequence = 0
        self.commands: list[Command] = []
        self._session: Session | None = None
        self._reading: asyncio.Task[None] | None = None

    async def connect(self, held: Sequence[str] = ()) -> Holder:
        controls = ("no_core_dumps", "no_swap")
        hello = Hello(self.service, self.instance, self.epoch, tuple(held), controls, ("onnx",))
        self._session = await self.core.custody.attend(hello)
        self._reading = asyncio.create_task(self._read(self._session))
        return self

    def disconnect(self) -> None:
        assert self._session is not None
        self.core.custody.leave(self._session)

    async def send(self, *events: Event, sequence: int = 0) -> None:
        """One batch; returns without waiting for the acknowledgement."""
        assert self._session is not None
        self.sequence = sequence or self.sequence + 1
        await self.core.custody.report(self._session, self.sequence, events)

    async def report(self, *events: Event) -> None:
        """One batch, with the registry; its acknowledgement takes its time."""
        await self.send(*events)
        session = self._session
        assert session is not None
        await eventually(lambda: session.safe >= self.sequence)

    async def hold(self, photo_id: str) -> None:
        await self.report(Event(photo_id, "H"))

    async def release(self, photo_id: str, micros: int = 1_500_000) -> None:
        await self.report(Event(photo_id, "R", micros))

    async def told_to_drop(self, photo_id: str) -> Revoke:
        def told() -> list[Revoke]:
            return [c for c in self.commands if isinstance(c, Revoke) and c.photo_id == photo_id]

        return (await eventually(told))[0]

    async def _read(self, session: Session) -> None:
        async for command in session.commands():
            self.commands.append(command)
