"""Two replicas of purge as processes over one Valkey: killed, asleep, and with a registry that has lost its memory."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from clients.local.pki import Pki
from clients.local.ports import free_ports
from clients.verify import recount, verify_bundle
from mayfly.purge.v1 import registry_pb2 as pb
from mesh.errors import MeshError
from mesh.status import from_rpc
from mesh.testing.valkey import ValkeyServer
from mesh.testing.wait import eventually
from mesh.transparency.checkpoint import open_checkpoint
from mesh.transparency.note import Verifier
from mesh.transparency.replay import replay
from mesh.transparency.tiles import DirectoryReader
from services.purge.receipt import LoggedReceipt, parse_entry
from services.purge.signing import load_keys, load_public
from tests.mesh import test_purge_process as one
from tests.mesh.test_purge_process import OWNER, Purge, grant, registry

NAMES = ("purge-0", "purge-1")
pki, valkey = one.pki, one.valkey


@pytest.fixture
async def purges(pki: Pki, valkey: ValkeyServer, tmp_path: Path) -> AsyncIterator[dict[str, Purge]]:
    """Both, each told where the other's log is."""
    ports = dict(zip(NAMES, free_ports(2), strict=True))
    vkeys: dict[str, str] = {}
    for name in NAMES:
        (tmp_path / name).mkdir()
        vkeys[name] = load_keys(tmp_path / name / "keys", origin=f"test.example/{name}", create=True).log_vkey
    running: dict[str, Purge] = {}
    for name, other in (NAMES, NAMES[::-1]):
        folder = tmp_path / name
        shard = {"origin": f"test.example/{other}", "vkey": vkeys[other], "url": f"http://127.0.0.1:{ports[other]}/log"}
        (folder / "shards.json").write_text(json.dumps([shard]))
        running[name] = Purge(
            pki,
            f"unix://{valkey.socket}?db=0",
            folder,
            MAYFLY_REDIS_USERNAME="purge",
            MAYFLY_REDIS_PASSWORD_FILE=str(folder / "password"),
            MAYFLY_INSTANCE=name,
            MAYFLY_PURGE_LOG_ORIGIN=f"test.example/{name}",
            MAYFLY_PURGE_SHARDS_FILE=str(folder / "shards.json"),
            MAYFLY_OPS_LISTEN=f"127.0.0.1:{ports[name]}",
        )
    try:
        await asyncio.gather(*[purge.start() for purge in running.values()])
        yield running
    finally:
        await asyncio.gather(*[purge.end(signal.SIGKILL) for purge in running.values()])


def entries(purge: Purge) -> list[bytes]:
    """One log, as far as its checkpoint goes."""
    origin = purge.environment["MAYFLY_PURGE_LOG_ORIGIN"]
    vkey = load_keys(purge.folder / "keys", origin=origin).log_vkey
    reader = DirectoryReader(purge.folder / "log" / "public")
    return list(replay(reader, open_checkpoint(reader.read("checkpoint"), Verifier.parse(vkey))))


def receipts(purge: Purge) -> dict[str, str]:
    """photo_id → reason."""
    found = [parsed.receipt() for e in entries(purge) if isinstance(parsed := parse_entry(e), LoggedReceipt)]
    return {receipt.photo_id: receipt.reason for receipt in found}


async def settled(stub: Any, photo_id: str) -> pb.SettleLeaseResponse:
    """As a gateway does that can't reach the lease's home: again, until somebody has taken it over."""
    request = pb.SettleLeaseRequest(photo_id=photo_id, route=pb.DELIVERY_ROUTE_STREAM)

    async def attempt() -> pb.SettleLeaseResponse | None:
        try:
            return await stub.SettleLease(request)  # type: ignore[no-any-return]
        except grpc.aio.AioRpcError as error:
            assert from_rpc(error).reason == "LEASE_ELSEWHERE"
            return None

    answer = await eventually(attempt, within=10, every=0.1)
    assert answer is not None
    return answer


async def refused(call: Any) -> MeshError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return from_rpc(caught.value)


async def test_a_lease_outlives_its_home(purges: dict[str, Purge]) -> None:
    first, second = purges.values()
    async with first.channel("gateway") as one_channel, second.channel("gateway") as other_channel:
        stub, other = registry(one_channel), registry(other_channel)
        leases = [await grant(stub) for _ in range(2)]
        moved, kept = (lease.photo_id for lease in leases)
        for call in (
            other.SettleLease(pb.SettleLeaseRequest(photo_id=moved, route=pb.DELIVERY_ROUTE_STREAM)),
            other.RevokeLease(pb.RevokeLeaseRequest(photo_id=moved, reason=pb.REVOCATION_REASON_REFUSED)),
            other.ReturnClaim(pb.ReturnClaimRequest(photo_id=moved, claimant=b"c" * 16)),
            other.Claim(pb.ClaimRequest(photo_id=moved, owner_digest=OWNER, claimant=b"c" * 16)).read(),
            other.Park(iter([pb.ParkRequest(start=pb.ParkStart(photo_id=moved))])),
            other.GetReceipt(pb.GetReceiptRequest(photo_id=moved)),
        ):
            error = await refused(call)
            assert (error.reason, error.registry) == ("LEASE_ELSEWHERE", "purge-0")
        revoked = await other.RevokeOwner(pb.RevokeOwnerRequest(owner_digest=OWNER))
        assert {(e.photo_id, e.registry) for e in revoked.elsewhere} == {(moved, "purge-0"), (kept, "purge-0")}
        await first.end(signal.SIGKILL)
        assert (await settled(other, moved)).receipt_bundle
        await first.start()
    async with first.channel("gateway") as channel:
        request = pb.GetReceiptRequest(photo_id=moved, wait_for_inclusion=True)
        error = await refused(registry(channel).GetReceipt(request))
        assert (error.reason, error.registry) == ("LEASE_ELSEWHERE", "purge-1")
    async with second.channel("gateway") as channel:
        bundle = await registry(channel).GetReceipt(request)
        receipt_keys = [load_public(await second.get("/keys/receipts.pub.pem"))]
        vkey = (await second.get("/keys/log.vkey")).decode().strip()
        assert verify_bundle(bundle.receipt_bundle, receipt_keys=receipt_keys, log_vkey=vkey).index is not None
    count = recount([*entries(first), *entries(second)])
    assert (count.problems, count.grants, count.settled) == ([], 2, 1)
    assert await first.metric("mayfly_leases_moved_total") == await second.metric("mayfly_leases_adopted_total")
    assert moved not in receipts(first)


async def test_a_replica_that_slept_through_the_loss_of_the_registry_asks_the_others_log(
    purges: dict[str, Purge], valkey: ValkeyServer
) -> None:
    """The hardest case: nothing but the other log says that its lease has ended."""
    first, second = purges.values()
    assert first.process is not None
    async with first.channel("gateway") as one_channel, second.channel("gateway") as other_channel:
        stub, other = registry(one_channel), registry(other_channel)
        adopted, lost = [(await grant(stub)).photo_id for _ in range(2)]
        await eventually(lambda: recount(entries(first)).grants == 2)
        first.process.send_signal(signal.SIGSTOP)
        await settled(other, adopted)
        await eventually(lambda: adopted in receipts(second))
        if (await second.metric("mayfly_leases_adopted_total")) == 2:
            lost = ""  # the leader has found the other one as well: it ends there
        valkey.kill()
        valkey.start()
        first.process.send_signal(signal.SIGCONT)
        await eventually(lambda: recount([*entries(first), *entries(second)]).open == [], within=20, every=0.1)
    count = recount([*entries(first), *entries(second)])
    assert (count.problems, count.grants) == ([], 2)
    assert adopted not in receipts(first)
    if lost:
        assert receipts(first) == {lost: "registry_lost"}
    async with first.channel("gateway") as channel:
        assert await eventually(lambda: _grants(registry(channel)), within=10, every=0.1)


async def _grants(stub: Any) -> bool:
    try:
        await grant(stub)
    except grpc.aio.AioRpcError:
        return False
    return True


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{", "is no JSON file"),
        ("{}", "must be a list"),
        ('[{"origin": "a"}]', "entry 1 must have origin, vkey and url, and nothing else"),
        ('[{"origin": "a", "vkey": "a+0+x", "url": "http://x/log"}]', "entry 1: vkey is no verifier key"),
    ],
)
async def test_a_wrong_shards_file_is_said_in_one_line(pki: Pki, tmp_path: Path, text: str, sentence: str) -> None:
    (tmp_path / "shards.json").write_text(text)
    wrong = Purge(pki, "redis://localhost", tmp_path, MAYFLY_PURGE_SHARDS_FILE=str(tmp_path / "shards.json"))
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "services.purge",
        env=wrong.environment,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    _, stderr = await process.communicate()
    assert (process.returncode, stderr.decode()) == (78, f"purge: MAYFLY_PURGE_SHARDS_FILE: {sentence}\n")
