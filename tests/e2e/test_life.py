"""A process's life: health, reflection only when asked for, a drain that finishes what is in flight."""

from __future__ import annotations

import signal

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from clients.local.environment import SERVICES
from clients.local.pki import Pki
from mayfly.purge.v1 import registry_pb2, registry_pb2_grpc
from mesh.identity import tls_name
from mesh.testing.wait import eventually
from tests.e2e import books
from tests.e2e.phone import Phone

SCENE = "bright_day"
NULL = {"render": {"MAYFLY_RENDER_ENGINE": "null"}}


@pytest.mark.parametrize("service", SERVICES)
async def test_a_drained_service_finishes_the_photo_in_its_hands(fresh_mesh, portrait, service):
    """SIGTERM in the middle of an upload: the photo is finished or ended with a clear error, and the process ends."""
    mesh = fresh_mesh({**NULL, service: {**NULL.get(service, {}), "MAYFLY_DRAIN_SECONDS": "8"}})
    photo = portrait[0]
    async with Phone(mesh) as phone:
        upload = await (await phone.render().start(SCENE, ttl=8)).send(photo[: len(photo) // 2])
        await books.eventually(lambda: books.custody(mesh).get("ingest"), 5, "ingest holds nothing")
        mesh.kill(service, signal.SIGTERM)
        await upload.send(photo[len(photo) // 2 :])
        await upload.seal(len(photo))
        if service != "purge":  # purge's streams end at once: leases in flight are taken up again at its next start
            await upload.until("seal")
            await upload.deliver()
            await upload.until("receipt")
    await books.eventually(lambda: not mesh.is_alive(service), 15, f"{service} does not end")
    mesh.restart(service)
    await books.recovered(mesh)
    receipts = await books.balance(mesh, 12)
    assert upload.accepted.photo_id in receipts
    assert service == "purge" or receipts[upload.accepted.photo_id].outcome == "settled"


async def test_health_is_served_and_reflection_is_not(mesh, phone):
    health = health_pb2_grpc.HealthStub(phone.channel)

    async def serving() -> bool:
        answer = await health.Check(health_pb2.HealthCheckRequest())
        return answer.status == health_pb2.HealthCheckResponse.SERVING

    assert await eventually(serving), "also right after purge was started again"
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        # Nothing is written: a write that comes too late would hide the status (grpc#36066).
        await reflection_pb2_grpc.ServerReflectionStub(phone.channel).ServerReflectionInfo().read()
    assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_reflection_is_served_when_asked_for(fresh_mesh):
    mesh = fresh_mesh({**NULL, "gateway": {"MAYFLY_REFLECTION": "true"}})
    async with Phone(mesh) as phone:
        assert "mayfly.gateway.v1.PhotoService" in await listed(phone.channel)


async def listed(channel: grpc.aio.Channel) -> set[str]:
    """The services that a server describes of itself."""
    stub = reflection_pb2_grpc.ServerReflectionStub(channel)
    request = reflection_pb2.ServerReflectionRequest(list_services="")
    async for answer in stub.ServerReflectionInfo(iter([request])):
        return {service.name for service in answer.list_services_response.service}
    return set()


async def test_inside_services_turn_strangers_away(mesh):
    """No certificate: no handshake. A certificate of the mesh that isn't on the method's list: PERMISSION_DENIED."""
    pki = Pki(mesh.state.pki)
    ca = pki.ca.read_bytes()
    options = (("grpc.ssl_target_name_override", tls_name("purge")),)
    address = mesh.processes["purge"].address
    request = registry_pb2.GrantLeaseRequest(owner_digest=bytes(32), claim_verifier=bytes(32))
    for name, expected in [
        ("ingest", "PERMISSION_DENIED"),
        ("public", "PERMISSION_DENIED"),
        (None, "UNAVAILABLE"),
    ]:
        pair = (pki.key(name).read_bytes(), pki.certificate(name).read_bytes()) if name else (None, None)
        credentials = grpc.ssl_channel_credentials(ca, *pair)
        async with grpc.aio.secure_channel(address, credentials, options=options) as channel:
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await registry_pb2_grpc.RegistryServiceStub(channel).GrantLease(request, timeout=5)
            assert refused.value.code().name == expected
