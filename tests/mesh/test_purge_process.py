"""Purge as a process, over mutual TLS, with a real Valkey; the mesh's own custody stream reports to it."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import signal
import sys
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from prometheus_client.parser import text_string_to_metric_families

from clients.local.pki import Pki
from clients.verify import recount, verify_bundle
from mayfly.purge.v1 import audit_pb2, audit_pb2_grpc, custody_pb2, custody_pb2_grpc, registry_pb2_grpc
from mayfly.purge.v1 import registry_pb2 as pb
from mesh.channel import open_channel
from mesh.clock import SystemClock
from mesh.custody.attendance import Attendance
from mesh.custody.book import CustodyBook, LeaseRef
from mesh.identity import Identity
from mesh.metrics import MeshMetrics
from mesh.status import from_rpc
from mesh.testing.valkey import ValkeyServer
from mesh.testing.wait import eventually
from services.purge.acl import acl_rules, arguments
from services.purge.audit import Residue, Statement, sign_statement
from services.purge.signing import load_public

PASSWORD = "process-password"
SECRET = b"s" * 32
OWNER = b"o" * 32


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    made = Pki(tmp_path_factory.mktemp("pki"))
    made.ensure()
    return made


@pytest.fixture
def valkey() -> Iterator[ValkeyServer]:
    acl = acl_rules("purge", hashlib.sha256(PASSWORD.encode()).hexdigest())
    with ValkeyServer(acl=acl, username="purge", password=PASSWORD, arguments=arguments(valkey=True)) as server:
        yield server


class Purge:
    """One process. ``address`` and ``ops`` are known once it serves."""

    def __init__(self, pki: Pki, redis: str, folder: Path, **extra: str) -> None:
        self.pki = pki
        self.folder = folder
        (folder / "password").write_text(PASSWORD)
        self.environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(Path(__file__).parents[2]),
            "PYTHONDONTWRITEBYTECODE": "1",
            "MAYFLY_LISTEN": "127.0.0.1:0",
            "MAYFLY_OPS_LISTEN": "127.0.0.1:0",
            "MAYFLY_TLS_CERT": str(pki.certificate("purge")),
            "MAYFLY_TLS_KEY": str(pki.key("purge")),
            "MAYFLY_TLS_CA": str(pki.ca),
            "MAYFLY_REDIS_URL": redis,
            "MAYFLY_PURGE_LOG_DIR": str(folder / "log"),
            "MAYFLY_PURGE_KEY_DIR": str(folder / "keys"),
            "MAYFLY_DRAIN_SECONDS": "5",
            **extra,
        }
        self.address = self.ops = ""
        self.said: list[dict[str, Any]] = []
        self.process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None

    async def start(self) -> Purge:
        self.process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "services.purge",
            env=self.environment,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        self.said, self.address = [], ""
        self._reading = asyncio.create_task(self._read(self.process))
        await eventually(lambda: self.address or self.process.returncode is not None, within=20)  # type: ignore[union-attr]
        assert self.address, self.said
        return self

    async def end(self, number: int) -> int:
        """Sends the signal; returns the exit status."""
        assert self.process is not None
        if self.process.returncode is None:
            self.process.send_signal(number)
        status = await asyncio.wait_for(self.process.wait(), 20)
        if self._reading is not None:
            await self._reading
        return status

    async def get(self, path: str) -> bytes:
        def fetch() -> bytes:
            with urllib.request.urlopen(f"http://{self.ops}{path}", timeout=5) as reply:
                return bytes(reply.read())

        return await asyncio.to_thread(fetch)

    async def metric(self, name: str, **labels: str) -> float:
        for family in text_string_to_metric_families((await self.get("/metrics")).decode()):
            for sample in family.samples:
                if sample.name == name and labels.items() <= sample.labels.items():
                    return sample.value
        raise AssertionError(name)

    def channel(self, service: str) -> grpc.aio.Channel:
        identity = Identity.load(
            cert=self.pki.certificate(service),
            key=self.pki.key(service),
            ca=self.pki.ca,
            trust_domain="mayfly.local",
            service=service,
        )
        return open_channel(self.address, identity, "purge")

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        assert process.stderr is not None
        async for line in process.stderr:
            with contextlib.suppress(ValueError):
                said = json.loads(line)
                self.said.append(said)
                if said.get("event") == "serving":
                    self.address, self.ops = said["address"], said["ops_address"]


@pytest.fixture
async def purge(pki: Pki, valkey: ValkeyServer, tmp_path: Path) -> AsyncIterator[Purge]:
    password = tmp_path / "password"
    running = Purge(
        pki,
        f"unix://{valkey.socket}?db=0",
        tmp_path,
        MAYFLY_REDIS_USERNAME="purge",
        MAYFLY_REDIS_PASSWORD_FILE=str(password),
    )
    try:
        yield await running.start()
    finally:
        await running.end(signal.SIGKILL)


@contextlib.asynccontextmanager
async def holder(purge: Purge, service: str) -> AsyncIterator[tuple[CustodyBook, Attendance]]:
    """The mesh's own custody book and stream, as every service has them."""
    channel = purge.channel(service)
    book = CustodyBook(service, SystemClock(), MeshMetrics(service, "test"))
    stream = Attendance(
        book, {purge.address: channel}, instance=f"{service}-0", lockdown_controls=["no_swap"], processors=["onnx"]
    )
    await stream.start()
    await eventually(book.is_attended)
    try:
        yield book, stream
    finally:
        await stream.stop()
        await channel.close()


def registry(channel: grpc.aio.Channel) -> registry_pb2_grpc.RegistryServiceStub:
    return registry_pb2_grpc.RegistryServiceStub(channel)


async def grant(stub: Any, ttl: float = 30.0) -> pb.GrantLeaseResponse:
    request = pb.GrantLeaseRequest(owner_digest=OWNER, claim_verifier=hashlib.sha256(SECRET).digest())
    request.ttl.FromNanoseconds(int(ttl * 1e9))
    reply: pb.GrantLeaseResponse = await stub.GrantLease(request)
    return reply


def lease_of(reply: pb.GrantLeaseResponse) -> LeaseRef:
    return LeaseRef(reply.photo_id, reply.expire_time.ToNanoseconds() / 1e9, reply.registry)


async def test_a_photo_from_grant_to_a_receipt_that_verifies_offline(purge: Purge) -> None:
    async with purge.channel("gateway") as channel, holder(purge, "ingest") as (book, stream):
        stub = registry(channel)
        granted = await grant(stub)
        custody = book.hold(lease_of(granted), lambda _: None)
        await eventually(lambda: purge.metric("mayfly_custody_held", service="ingest"))
        custody.release()
        request = pb.SettleLeaseRequest(
            photo_id=granted.photo_id, holders=[stream.holder], route=pb.DELIVERY_ROUTE_STREAM
        )
        settled = await stub.SettleLease(request)
        bundle = await stub.GetReceipt(pb.GetReceiptRequest(photo_id=granted.photo_id, wait_for_inclusion=True))
        keys = [load_public(await purge.get("/keys/receipts.pub.pem"))]
        vkey = (await purge.get("/keys/log.vkey")).decode().strip()
        verified = verify_bundle(bundle.receipt_bundle, receipt_keys=keys, log_vkey=vkey)
        assert verified.index is not None
        assert b"envelope" in settled.receipt_bundle
        assert (await purge.get("/log/checkpoint")).startswith(b"mayfly.local/log\n")
        assert await purge.metric("mayfly_leases_ended_total", outcome="settled", reason="delivered") == 1
        with pytest.raises(urllib.error.HTTPError):
            await purge.get("/log/../keys/receipts.key.pem")


async def test_a_replica_says_its_name(pki: Pki, valkey: ValkeyServer, tmp_path: Path) -> None:
    password = str(tmp_path / "password")
    redis = {"MAYFLY_REDIS_USERNAME": "purge", "MAYFLY_REDIS_PASSWORD_FILE": password}
    purge = Purge(pki, f"unix://{valkey.socket}?db=0", tmp_path, MAYFLY_INSTANCE="purge-7", **redis)
    await purge.start()
    try:
        async with purge.channel("gateway") as channel:
            assert (await grant(registry(channel))).registry == "purge-7"
            call = custody_pb2_grpc.CustodyServiceStub(channel).Attend()
            hello = custody_pb2.HolderHello(instance="gateway-0", epoch="0" * 16)
            await call.write(custody_pb2.CustodyReport(hello=hello))
            command = await call.read()
            assert isinstance(command, custody_pb2.CustodyCommand)
            assert command.acknowledgement.registry == "purge-7"
            call.cancel()
    finally:
        await purge.end(signal.SIGKILL)


async def test_parked_claimed_returned_and_collected(purge: Purge) -> None:
    segments = [os.urandom((1 << 20) + 16), os.urandom(4096)]

    async def parking(photo_id: str, sealed: bool = True) -> AsyncIterator[pb.ParkRequest]:
        yield pb.ParkRequest(start=pb.ParkStart(photo_id=photo_id))
        for segment in segments:
            yield pb.ParkRequest(segment=segment)
        if sealed:
            yield pb.ParkRequest(seal=pb.ParkSeal(segment_count=2))

    async with purge.channel("gateway") as channel:
        stub = registry(channel)
        granted = await grant(stub)
        claim = pb.ClaimRequest(photo_id=granted.photo_id, owner_digest=OWNER, claim_secret=SECRET, claimant=b"m" * 16)
        with pytest.raises(grpc.aio.AioRpcError) as unsealed:
            await stub.Park(parking(granted.photo_id, sealed=False))
        assert unsealed.value.code() is grpc.StatusCode.ABORTED
        with pytest.raises(grpc.aio.AioRpcError) as early:
            await stub.Claim(claim).read()
        assert from_rpc(early.value).reason == "NOT_PARKED_YET"
        await stub.Park(parking(granted.photo_id))
        messages = [message async for message in stub.Claim(claim)]
        assert [m.segment for m in messages] == segments
        assert (messages[0].segment_count, messages[0].expire_time) == (2, granted.expire_time)
        other = pb.ClaimRequest()
        other.CopyFrom(claim)
        other.claimant = b"o" * 16
        with pytest.raises(grpc.aio.AioRpcError) as second:
            await stub.Claim(other).read()
        assert second.value.code() is grpc.StatusCode.NOT_FOUND
        back = pb.ReturnClaimRequest(photo_id=granted.photo_id, claim_secret=SECRET, claimant=claim.claimant)
        await stub.ReturnClaim(back)
        assert len([m async for m in stub.Claim(other)]) == 2
        other.first_segment = 1
        [rest] = [m async for m in stub.Claim(other)]
        assert (rest.segment, rest.segment_count, rest.again) == (segments[1], 2, True), "the winner goes on"
        other.first_segment = 2
        [rest] = [m async for m in stub.Claim(other)]
        assert (rest.segment, rest.segment_count) == (b"", 2)
        settle = pb.SettleLeaseRequest(photo_id=granted.photo_id, route=pb.DELIVERY_ROUTE_COLLECT)
        settle.collected_by.CopyFrom(pb.CollectedBy(owner_digest=OWNER, claim_secret=SECRET, claimant=claim.claimant))
        with pytest.raises(grpc.aio.AioRpcError) as stranger:
            await stub.SettleLease(settle)
        assert stranger.value.code() is grpc.StatusCode.NOT_FOUND
        settle.collected_by.claimant = other.claimant
        settled = await stub.SettleLease(settle)
        assert settled.receipt_bundle and (await stub.SettleLease(settle)).receipt_bundle
        assert await purge.metric("mayfly_parked_bytes") == 0


async def test_a_revocation_reaches_the_holder_and_comes_back_confirmed(purge: Purge) -> None:
    async with purge.channel("gateway") as channel, holder(purge, "render") as (book, _):
        stub = registry(channel)
        granted = await grant(stub)
        dropped: list[str] = []
        custody = book.hold(lease_of(granted), lambda error: (dropped.append(error.reason), custody.release())[1])
        await eventually(lambda: purge.metric("mayfly_custody_held", service="render"))
        request = pb.RevokeOwnerRequest(owner_digest=OWNER)
        reply = await stub.RevokeOwner(request)
        assert [e.photo_id for e in reply.ended] == [granted.photo_id]
        assert dropped == ["PHOTO_REVOKED"]


async def test_only_those_who_may_call(purge: Purge) -> None:
    async with purge.channel("ingest") as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await grant(registry(channel))
        assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED
    async with purge.channel("auditor") as channel:
        call = custody_pb2_grpc.CustodyServiceStub(channel).Attend()
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            # Nothing is written: a write that comes too late would hide the status (grpc#36066).
            await call.read()
        assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED


async def test_requests_that_make_no_sense_are_refused_in_words(purge: Purge) -> None:
    async with purge.channel("gateway") as channel:
        stub = registry(channel)
        for call, code in [
            (stub.GrantLease(pb.GrantLeaseRequest()), grpc.StatusCode.INVALID_ARGUMENT),
            (stub.SettleLease(pb.SettleLeaseRequest(photo_id="0" * 32)), grpc.StatusCode.INVALID_ARGUMENT),
            (stub.RevokeLease(pb.RevokeLeaseRequest(photo_id="0" * 32, reason=2)), grpc.StatusCode.NOT_FOUND),
            (stub.GetReceipt(pb.GetReceiptRequest(photo_id="../x")), grpc.StatusCode.NOT_FOUND),
            (grant(stub, ttl=1000), grpc.StatusCode.INVALID_ARGUMENT),
        ]:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await call
            assert caught.value.code() is code


async def test_killed_and_started_again_every_grant_gets_its_receipt(purge: Purge) -> None:
    from mesh.transparency.checkpoint import open_checkpoint
    from mesh.transparency.note import Verifier
    from mesh.transparency.replay import replay
    from mesh.transparency.tiles import DirectoryReader

    async with purge.channel("gateway") as channel:
        stub = registry(channel)
        granted = [await grant(stub, ttl=2.0) for _ in range(20)]
        pending = asyncio.gather(*[grant(stub, ttl=2.0) for _ in range(20)], return_exceptions=True)
        await asyncio.sleep(0)
        await purge.end(signal.SIGKILL)
        answered = [*granted, *[r for r in await pending if isinstance(r, pb.GrantLeaseResponse)]]
    await purge.start()
    await eventually(lambda: purge.metric("mayfly_log_entries"), within=5)

    async def all_ended() -> bool:
        live = [await purge.metric("mayfly_leases", state=state) for state in ("granted", "active", "ending")]
        return not any(live)

    await eventually(all_ended, within=6, every=0.05)
    vkey = (await purge.get("/keys/log.vkey")).decode().strip()
    assert await purge.end(signal.SIGTERM) == 0
    reader = DirectoryReader(purge.folder / "log" / "public")
    signed = (purge.folder / "log" / "public" / "checkpoint").read_bytes()
    entries = list(replay(reader, open_checkpoint(signed, Verifier.parse(vkey))))
    count = recount(entries)
    assert count.conserved, count.problems
    assert count.open == []
    assert count.grants >= len(answered)
    assert count.grants == count.expired + count.revoked
    text = b"".join(entries)
    assert all(reply.photo_id.encode() in text for reply in answered), "a grant is durable before it is answered"


async def test_sigterm_with_a_holder_attending_is_quick(purge: Purge) -> None:
    async with holder(purge, "ingest"):
        began = SystemClock().monotonic()
        assert await purge.end(signal.SIGTERM) == 0
        assert SystemClock().monotonic() - began < 4
    assert purge.said[-1]["event"] == "stopped"


async def test_a_wrong_environment_is_said_in_one_line(pki: Pki, tmp_path: Path) -> None:
    broken = Purge(pki, "http://localhost", tmp_path)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "services.purge",
        env=broken.environment,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    _, stderr = await process.communicate()
    assert process.returncode == 78
    assert stderr.decode() == (
        "purge: MAYFLY_REDIS_URL: must begin with unix://, redis://, redis+sentinel://, redis+cluster://, "
        "or rediss for TLS\n"
    )


async def test_an_audit_statement_is_a_leaf_beside_the_receipts(purge: Purge) -> None:
    key = Ed25519PrivateKey.generate()
    statement = Statement(round(time.time()), "residue", {"delivered": 3}, residue=(Residue("ingest", "memory", 64),))
    request = audit_pb2.RecordAuditRequest(envelope=sign_statement(statement, key).to_json())
    async with purge.channel("auditor") as channel:
        stub = audit_pb2_grpc.AuditServiceStub(channel)
        assert (await stub.RecordAudit(request)).index == (await stub.RecordAudit(request)).index == 0
        with pytest.raises(grpc.RpcError) as caught:
            await stub.RecordAudit(audit_pb2.RecordAuditRequest(envelope=b"{}"))
        assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    async with purge.channel("gateway") as channel:
        with pytest.raises(grpc.RpcError) as caught:
            await audit_pb2_grpc.AuditServiceStub(channel).RecordAudit(request)
        assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED
    await purge.end(signal.SIGKILL)
    await purge.start()  # a log with an audit in it is replayed like any other
    assert await purge.metric("mayfly_log_entries") == 1
    assert await purge.metric("mayfly_leases_granted_total") == 0
