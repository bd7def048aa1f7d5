"""Purge as a process over mutual TLS, with a Valkey of its own, and the three services that report custody to it."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import redis

from clients.local.pki import Pki
from mayfly.purge.v1 import registry_pb2 as pb
from mayfly.purge.v1 import registry_pb2_grpc
from mesh.channel import open_channel
from mesh.clock import SystemClock
from mesh.custody.attendance import Attendance
from mesh.custody.book import CustodyBook, LeaseRef
from mesh.identity import Identity
from mesh.metrics import MeshMetrics
from mesh.testing.valkey import ValkeyServer
from mesh.testing.wait import eventually
from services.purge.acl import acl_rules, arguments
from services.purge.link import Call
from services.purge.wire import Word

SERVICES = ("gateway", "ingest", "render")
MEMORY = 2 << 30  # bytes that Valkey may take
_PASSWORD = "benchmark"
_DIGEST = hashlib.sha256(_PASSWORD.encode()).hexdigest()


@contextlib.contextmanager
def running_valkey() -> Iterator[ValkeyServer]:
    """As Mayfly wants it, with an administrator beside purge, and with room for a million leases."""
    acl = acl_rules("purge", _DIGEST) + f"user admin on #{_DIGEST} ~* &* +@all\n"
    settings = [*arguments(valkey=True), "--maxmemory", str(MEMORY)]
    with ValkeyServer(acl=acl, username="purge", password=_PASSWORD, arguments=settings) as server:
        yield server


def admin_of(server: ValkeyServer) -> Any:
    return redis.Redis.from_url(server.url_for("admin", _PASSWORD), socket_timeout=10)


class Recorder:
    """Stands in for the registry's link: keeps the calls, so that whoever makes them makes the same."""

    up = True

    def __init__(self) -> None:
        self.calls: list[Call] = []

    async def call_all(self, calls: Sequence[Call]) -> list[bytes]:
        self.calls += calls
        return [b"1" if function == "count" else b"OK" for function, _, _ in calls]

    async def call(self, function: str, keys: Sequence[str], args: Sequence[Word]) -> bytes:
        return (await self.call_all([(function, keys, args)]))[0]

    def taken(self) -> list[Call]:
        """The calls since the last time."""
        calls, self.calls = self.calls, []
        return calls


class Holder:
    """One service's custody of photos, by the mesh's own book and stream."""

    def __init__(self, service: str, channel: grpc.aio.Channel, address: str) -> None:
        self.book = CustodyBook(service, SystemClock(), MeshMetrics(service, "benchmark"))
        self.attendance = Attendance(
            self.book, {address: channel}, instance=f"{service}-0",
            lockdown_controls=["no_core_dumps", "no_swap", "landlock"], processors=["onnx"],
        )  # fmt: skip

    @property
    def name(self) -> str:
        return self.attendance.holder


@dataclass
class Purge:
    """One process, its callers, and the Valkey behind it."""

    pid: int
    gateway: Any
    holders: Sequence[Holder]
    valkey: ValkeyServer

    async def grant(self, ttl: float = 60.0) -> LeaseRef:
        request = pb.GrantLeaseRequest(
            owner_digest=os.urandom(32), claim_verifier=os.urandom(32), nonce_commitment=os.urandom(32),
            policy_version="2026-11",
        )  # fmt: skip
        request.ttl.FromMilliseconds(int(ttl * 1000))
        reply = await self.gateway.GrantLease(request)
        return LeaseRef(reply.photo_id, reply.expire_time.ToMilliseconds() / 1000, reply.registry)

    async def settle(self, lease: LeaseRef) -> None:
        names = [holder.name for holder in self.holders]
        request = pb.SettleLeaseRequest(photo_id=lease.photo_id, holders=names, route=pb.DELIVERY_ROUTE_STREAM)
        await self.gateway.SettleLease(request)

    async def receipt(self, lease: LeaseRef, *, wait: bool) -> bytes:
        reply = await self.gateway.GetReceipt(pb.GetReceiptRequest(photo_id=lease.photo_id, wait_for_inclusion=wait))
        return bytes(reply.receipt_bundle)

    async def photo(self, hold: float) -> tuple[LeaseRef, float]:
        """One photo's life, as the mesh leads it: each holds it for ``hold`` seconds. And its settlement's seconds."""
        lease = await self.grant()
        gateway, ingest, render = (holder.book.hold(lease, lambda _: None) for holder in self.holders)
        await asyncio.sleep(hold)
        ingest.release()
        render.release()
        await asyncio.sleep(0.005)
        gateway.release()
        began = time.perf_counter()
        await self.settle(lease)
        return lease, time.perf_counter() - began


@contextlib.asynccontextmanager
async def running_purge(command: Sequence[str] = ("-m", "services.purge")) -> AsyncIterator[Purge]:
    """command: what Python is told to run."""
    with tempfile.TemporaryDirectory(prefix="mayfly-bench-") as folder, running_valkey() as valkey:
        here = Path(folder)
        pki = Pki(here / "pki")
        pki.ensure()
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *command,
            env=_environment(pki, valkey, here),
            stdout=asyncio.subprocess.DEVNULL,  # a file, where results are kept, would stop it
            stderr=asyncio.subprocess.PIPE,
            limit=1 << 20,
            cwd=Path(__file__).parents[1],
        )
        try:
            address = await asyncio.wait_for(_address(process), 20)
            channels = {service: open_channel(address, _identity(pki, service), "purge") for service in SERVICES}
            holders = [Holder(service, channel, address) for service, channel in channels.items()]
            for holder in holders:
                await holder.attendance.start()
            await eventually(lambda: all(holder.book.is_attended() for holder in holders))
            yield Purge(process.pid, registry_pb2_grpc.RegistryServiceStub(channels["gateway"]), holders, valkey)
            for holder in holders:
                await holder.attendance.stop()
            for channel in channels.values():
                await channel.close()
        finally:
            if process.returncode is None:
                process.terminate()
            await process.communicate()


def _environment(pki: Pki, valkey: ValkeyServer, folder: Path) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(Path(__file__).parents[1]),
        "PYTHONDONTWRITEBYTECODE": "1",
        "MAYFLY_LISTEN": "127.0.0.1:0",
        "MAYFLY_OPS_LISTEN": "127.0.0.1:0",
        "MAYFLY_TLS_CERT": str(pki.certificate("purge")),
        "MAYFLY_TLS_KEY": str(pki.key("purge")),
        "MAYFLY_TLS_CA": str(pki.ca),
        "MAYFLY_REDIS_URL": valkey.url,
        "MAYFLY_PURGE_LOG_DIR": str(folder / "log"),
        "MAYFLY_PURGE_KEY_DIR": str(folder / "keys"),
    }


def _identity(pki: Pki, service: str) -> Identity:
    return Identity.load(
        cert=pki.certificate(service), key=pki.key(service), ca=pki.ca, trust_domain="mayfly.local", service=service
    )


async def _address(process: asyncio.subprocess.Process) -> str:
    assert process.stderr is not None
    async for line in process.stderr:
        with contextlib.suppress(ValueError):
            said = json.loads(line)
            if said.get("event") == "serving":
                return str(said["address"])
    raise RuntimeError("purge did not start")
