"""The operator's big red button on a live mesh: by its own credential only, and everything is gone."""

from __future__ import annotations

import asyncio

import grpc
import pytest

from clients.local.pki import OPERATOR, TRUST_DOMAIN, Pki
from clients.sdk.operator import Credential, OperatorClient
from mayfly.purge.v1 import registry_pb2, registry_pb2_grpc
from mayfly.render.v1 import render_pb2, render_pb2_grpc
from mesh.channel import open_channel
from mesh.errors import Denied, MeshError, NotFound
from mesh.identity import Identity
from mesh.status import from_rpc
from tests.e2e import books, cli
from tests.e2e.phone import Phone

SCENE = "bright_day"


async def mayfly(mesh, *args: str) -> cli.Ran:
    command = cli.Mayfly(mesh.state.root)
    return await asyncio.to_thread(command, "purge", *args, "--json", "--state", str(mesh.state.root))


async def test_everything_of_everybody_is_gone(mesh, phone, portrait):
    async with Phone(mesh, "somebody-else") as other:
        parked = await (await phone.render().start(SCENE)).upload(portrait[0])
        await parked.until("seal")
        parked.hang_up()
        sending = await (await other.render().start(SCENE)).send(portrait[0][:20_000])
        ran = await mayfly(mesh, "--all", "--yes", "--pause", "60")
        assert ran.code == 0, ran
        said = ran.json()
        assert (said["total"], said["ended"], said["irrevocable"], said["waiting"]) == (2, 2, 0, {})
        with pytest.raises(MeshError) as paused:
            await other.render().start(SCENE)
        assert paused.value.reason == "OPERATOR_PAUSED"
        assert (await mayfly(mesh, "--resume")).json() == {"paused_until": None, "replicas": {}}
        receipts = await books.balance(mesh)
        for upload in (parked, sending):
            receipt = receipts[upload.accepted.photo_id]
            assert (receipt.outcome, receipt.reason) == ("revoked", "operator")
        with pytest.raises(NotFound):
            await phone.collect(parked.accepted.photo_id, parked.accepted.resume_token)
        await other.render().start(SCENE)
        stuck = await mayfly(mesh, "--list")
        assert (stuck.code, stuck.json()["irrevocable"]) == (0, 0)
        await mayfly(mesh, "--all", "--yes")
        await books.balance(mesh)


async def test_nobody_else_may_press_it_and_it_opens_no_other_door(mesh):
    pki, purge = Pki(mesh.state.pki), mesh.processes["purge"].address
    for name in ("gateway", "render", "auditor"):
        async with OperatorClient(purge, Credential(pki.certificate(name), pki.key(name), pki.ca)) as client:
            for call in (client.count(), client.irrevocable(), client.pause(1), anext(client.purge_all())):
                with pytest.raises(Denied):
                    await call
    identity = Identity.load(
        cert=pki.certificate(OPERATOR), key=pki.key(OPERATOR), ca=pki.ca, trust_domain=TRUST_DOMAIN, service=OPERATOR
    )
    channels = [
        open_channel(purge, identity, "purge"),
        open_channel(mesh.processes["render"].address, identity, "render"),
    ]
    calls = [
        registry_pb2_grpc.RegistryServiceStub(channels[0]).RevokeOwner(registry_pb2.RevokeOwnerRequest()),
        render_pb2_grpc.RenderServiceStub(channels[1]).ListScenes(render_pb2.ListScenesRequest()),
    ]
    for call in calls:
        with pytest.raises(grpc.RpcError) as refused:
            await call
        assert isinstance(from_rpc(refused.value), Denied)
    for channel in channels:
        await channel.close()


@pytest.mark.parametrize(
    ("args", "code"),
    [
        ((), 3),
        (("--all", "--list"), 3),
        (("--all",), 3),  # no terminal, and not --yes
        (("--list", "--purge", "127.0.0.1:1"), 5),
        (("--list", "--cert", "nowhere.pem"), 3),
    ],
)
async def test_wrong_use_revokes_nothing(mesh, args, code):
    ran = await mayfly(mesh, *args)
    assert ran.code == code, ran
