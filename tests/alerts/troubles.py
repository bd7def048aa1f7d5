"""Each alert, and how what it is for is brought about in a running mesh and mended again: the table is ``TABLE``.

A trouble is a context manager: before its ``yield`` it is caused, after it mended. Nothing here writes a metric.
"""

from __future__ import annotations

import asyncio
import resource
import shutil
import signal
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress

import grpc

from clients.local.authority import CONTENT_LIFETIME, new_content_signer, utc_now
from clients.local.pki import TRUST_DOMAIN, Pki
from mayfly.gateway.v1 import gateway_pb2 as pb
from mesh import frames
from mesh.channel import open_channel
from mesh.custody.book import LeaseRef
from mesh.custody.metadata import to_metadata
from mesh.errors import MeshError
from mesh.identity import Identity
from mesh.testing.ports import HOST, Reserved
from mesh.testing.wait import eventually
from mesh.testing.witness import WitnessServer
from tests.alerts.site import Site
from tests.chaos.crowd import SCENE, photo
from tests.deploy.programs import ROOT
from tests.e2e import keys
from tests.e2e.phone import Phone, Upload
from tests.triton.server import Authority, processors_file

Trouble = Callable[[Site], AbstractAsyncContextManager[None]]
FAILURES = 6
"""Photos that fare badly: five must, before a burn rate pages."""
TOO_LONG = 124.0
"""Seconds of a lease, longer than the objective of residency."""
TOO_LATE = 10.0
"""Seconds until a picture, the objective of a light scene's latency."""


# --- Redis ---


@asynccontextmanager
async def somebody_else_writes(site: Site) -> AsyncIterator[None]:
    """A key of no kind that Mayfly knows, and without a TTL."""
    with site.redis.admin() as admin:
        admin.set("session:42", "somebody else's")
        try:
            yield
        finally:
            admin.delete("session:42")


@asynccontextmanager
async def settings_change_and_nobody_minds(site: Site) -> AsyncIterator[None]:
    """An administrator lets Redis evict keys; purge sees it, and its code grants leases all the same."""
    with site.redis.admin() as admin:
        async with site.phone() as phone:
            await site.fault("purge", "unguarded", on=True)
            admin.config_set("maxmemory-policy", "allkeys-lru")
            asking = asyncio.create_task(_keep_asking(phone))
            try:
                yield
            finally:
                await _end(asking)
                admin.config_set("maxmemory-policy", "noeviction")
                await site.fault("purge", "unguarded", on=False)


@asynccontextmanager
async def redis_is_gone(site: Site) -> AsyncIterator[None]:
    """It is killed, and comes back empty."""
    site.redis.kill()
    try:
        yield
    finally:
        await asyncio.to_thread(site.redis.start)
        await site.serves()


# --- processes that stand still, or die ---


@asynccontextmanager
async def render_stands_still(site: Site) -> AsyncIterator[None]:
    """Its process is stopped with photos in its hands, which are taken back; their leases end meanwhile."""
    async with site.phone() as phone:
        held = await site.pictures(phone, FAILURES, ttl=6.0)
        site.signal("render", signal.SIGSTOP)
        try:
            await asyncio.gather(*(_take_back(upload) for upload in held))
            yield
        finally:
            site.signal("render", signal.SIGCONT)


@asynccontextmanager
async def render_wakes_late(site: Site) -> AsyncIterator[None]:
    """The same for so long that a photo can't be swept up after."""
    async with site.phone() as phone:
        (taken_back,) = await site.pictures(phone, 1, ttl=60.0)
        site.signal("render", signal.SIGSTOP)
        try:
            await _take_back(taken_back)
            await site.fires("MayflyMemoryUnswept")
        finally:
            site.signal("render", signal.SIGCONT)
        yield


@asynccontextmanager
async def engine_is_slow(site: Site) -> AsyncIterator[None]:
    """It takes longer for each picture than a light scene's may be on its way, and people go on asking: one in seven of
    an hour's pictures must be late, and there may have been many before."""
    async with site.phone() as phone:
        waiting = asyncio.create_task(_keep_waiting(site, phone))
        try:
            yield
        finally:
            await _end(waiting)
            await site.fault("render", "slow", on=False)


@asynccontextmanager
async def render_dies_with_photos(site: Site) -> AsyncIterator[None]:
    """It is killed, and another process takes its place: what it held is lost."""
    async with site.phone() as phone:
        await site.pictures(phone, 2, ttl=30.0)
        await site.kill("render")
        await site.restart("render")
        yield


@asynccontextmanager
async def ingest_is_dead(site: Site) -> AsyncIterator[None]:
    """It is killed, while people go on asking for pictures."""
    async with site.phone() as phone:
        await site.kill("ingest")
        asking = [asyncio.create_task(_keep_asking(phone)) for _ in range(4)]
        try:
            yield
        finally:
            await _end(*asking)
            await site.restart("ingest")


@asynccontextmanager
async def purge_is_dead(site: Site) -> AsyncIterator[None]:
    await site.kill("purge")
    try:
        yield
    finally:
        await site.restart("purge")


# --- the log, and purge's own work ---


@asynccontextmanager
async def disk_is_full(site: Site) -> AsyncIterator[None]:
    """The kernel refuses each write of purge's to a file, as a full disk does; leases end meanwhile."""
    async with site.phone() as phone:
        uploads = [await phone.render().start(SCENE, ttl=60.0) for _ in range(2)]
        pid = site.mesh.pid("purge")
        before = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, before[1]))
        try:
            for upload in uploads:
                upload.hang_up()
            yield
        finally:
            resource.prlimit(pid, resource.RLIMIT_FSIZE, before)


@asynccontextmanager
async def checkpoint_is_in_the_way(site: Site) -> AsyncIterator[None]:
    """Somebody has put a folder where the log's checkpoint was, so none can be published."""
    checkpoint = keys.log_directory(site.mesh) / "checkpoint"
    kept = checkpoint.with_name("checkpoint.kept")
    checkpoint.rename(kept)
    checkpoint.mkdir()
    try:
        async with site.phone() as phone:
            (await phone.render().start(SCENE)).hang_up()
            yield
    finally:
        checkpoint.rmdir()
        kept.rename(checkpoint)


@asynccontextmanager
async def witness_knows_another_history(site: Site) -> AsyncIterator[None]:
    """A witness has cosigned a log of the same name and key with other entries, before it is shown this one."""
    log = keys.log_verifier(site.mesh)
    witness = WitnessServer("witness.test/w", [log])
    try:
        witness.seen[log.name] = (2, b"another root".ljust(32))
        listed = site.folder / "witnesses"
        listed.write_text(f"{witness.verifier.vkey} {witness.url}\n", encoding="utf-8")
        await site.restart("purge", MAYFLY_PURGE_WITNESSES=str(listed))
        try:
            yield
        finally:
            await site.restart("purge")
    finally:
        witness.stop()


@asynccontextmanager
async def reaper_sleeps(site: Site) -> AsyncIterator[None]:
    """A bug: nobody ends the leases that are due."""
    async with site.phone() as phone:
        await site.fault("purge", "reaper_asleep", on=True)
        try:
            await phone.render().start(SCENE, ttl=1.0)
            yield
        finally:
            await site.fault("purge", "reaper_asleep", on=False)


@asynccontextmanager
async def lease_is_forgotten(site: Site) -> AsyncIterator[None]:
    """A bug: a lease leaves purge's books without an end. Its log knows, so a restart finds it."""
    async with site.phone() as phone:
        await phone.render().start(SCENE, ttl=60.0)
        await site.fault("purge", "forgetful", on=True)
        try:
            yield
        finally:
            await site.restart("purge")


# --- how services are set up ---


@asynccontextmanager
async def render_is_set_up_for_development(site: Site) -> AsyncIterator[None]:
    """Without strictness, without marks on its pictures, and with an ops port for everybody."""
    port = site.mesh.ops_address("render").rpartition(":")[2]
    everywhere = {"MAYFLY_OPS_TLS": "insecure", "MAYFLY_OPS_LISTEN": f"0.0.0.0:{port}"}
    await site.restart("render", MAYFLY_LOCKDOWN="permissive", MAYFLY_RENDER_MARKING="off", **everywhere)
    try:
        yield
    finally:
        await site.restart("render")


@asynccontextmanager
async def strangers_at_the_pool(site: Site) -> AsyncIterator[None]:
    """Render's certificate for pictures ends in three days, and at its pool somebody answers who isn't the pool."""
    folder = site.folder / "pool"
    pool, stranger = Authority(folder / "operator"), Authority(folder / "stranger")
    listed_at, server = Reserved(), grpc.aio.server()
    pair = stranger.leaf()
    credentials = grpc.ssl_server_credentials([(pair.key_pem(), pair.certificate_pem())])
    server.add_secure_port(f"{HOST}:{listed_at.number}", credentials)
    await server.start()
    listed = processors_file(folder, ca=pool.ca, endpoints=[f"{HOST}:{listed_at.number}"])
    signer, chain = new_content_signer(utc_now() - CONTENT_LIFETIME * 0.97)
    (folder / "c2pa.pem").write_bytes(chain)
    (folder / "c2pa.key").write_bytes(signer.key_pem())
    await site.restart(
        "render",
        MAYFLY_RENDER_ENGINE="triton,null",
        MAYFLY_RENDER_PROCESSORS_FILE=str(listed),
        MAYFLY_RENDER_C2PA_CERT=str(folder / "c2pa.pem"),
        MAYFLY_RENDER_C2PA_KEY=str(folder / "c2pa.key"),
    )
    try:
        yield
    finally:
        await site.restart("render")
        await server.stop(None)
        listed_at.close()
        shutil.rmtree(folder)


@asynccontextmanager
async def collector_is_away(site: Site) -> AsyncIterator[None]:
    """The gateway traces each photo, and nobody takes its spans."""
    nobody = Reserved()
    try:
        await site.restart("gateway", MAYFLY_TRACING="otlp", MAYFLY_TRACING_ENDPOINT=f"{HOST}:{nobody.number}")
        async with site.phone() as phone:
            asking = asyncio.create_task(_keep_asking(phone))
            try:
                yield
            finally:
                await _end(asking)
    finally:
        await site.restart("gateway")
        nobody.close()


@asynccontextmanager
async def scene_is_broken(site: Site) -> AsyncIterator[None]:
    """Somebody drops a folder with a scene that is none."""
    folder = site.scenes / "garland"
    folder.mkdir()
    (folder / "scene.toml").write_text('kind = "surprise"\n', encoding="utf-8")
    site.signal("render", signal.SIGHUP)
    try:
        yield
    finally:
        shutil.rmtree(folder)
        site.signal("render", signal.SIGHUP)


# --- code that does what it may not, and callers who do ---


@asynccontextmanager
async def code_goes_wrong(site: Site) -> AsyncIterator[None]:
    """A scrubber lets a comment through, a decoder asks for a connection, code says a caption wherever it can."""
    await site.fault("ingest", "comments", on=True)
    try:
        async with site.phone() as phone:
            upload = await (await phone.render().start(SCENE)).upload(photo(1))
            assert (await upload.error()).reason == "SCRUB_DISAGREEMENT"
        await site.fault("render", "seized", on=True)
        await site.fault("ingest", "talkative", on=True)
        yield
    finally:
        await site.fault("ingest", "comments", on=False)


@asynccontextmanager
async def photos_come_without_a_lease(site: Site) -> AsyncIterator[None]:
    """Somebody with the gateway's certificate sends photos whose leases are over."""
    pki = Pki(site.mesh.state.pki)
    identity = Identity.load(
        cert=pki.certificate("gateway"), key=pki.key("gateway"), ca=pki.ca, trust_domain=TRUST_DOMAIN, service="gateway"
    )
    async with open_channel(site.mesh.processes["ingest"].address, identity, "ingest") as channel:
        for number in range(FAILURES):
            lease = LeaseRef(f"{number:032x}", time.time() - 1)
            call = channel.stream_stream("/mayfly.ingest.v1.IngestService/Scrub")(metadata=to_metadata(lease))
            with suppress(grpc.RpcError, asyncio.InvalidStateError):
                await call.write(frames.encode_chunk((b"a photo",), 7))
            assert await call.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        yield


@asynccontextmanager
async def nobody_collects(site: Site) -> AsyncIterator[None]:
    """Pictures wait for their owners for longer than photos usually live. They were parked when the mesh started."""
    if not site.long_parked:
        await site.park(FAILURES, TOO_LONG)

    async def over() -> bool:
        return await site.total("purge", "mayfly_parked_pictures") == 0

    await eventually(over, within=TOO_LONG + 10, every=0.5)
    yield


# --- what the auditor finds ---


@asynccontextmanager
async def ingest_keeps_photos(site: Site) -> AsyncIterator[None]:
    """A variant of ingest that keeps what passes through it (tests/leaks)."""
    assert site.auditor is not None
    site.auditor.kill()
    await site.restart("ingest", PYTHONPATH=f"{ROOT / 'tests/leaks/keeping'}:{ROOT}")
    site.auditor.start()
    try:
        yield
    finally:
        site.auditor.kill()
        await site.restart("ingest")
        site.auditor.start()
    await site.auditor.audited("clean")


@asynccontextmanager
async def auditor_is_dead(site: Site) -> AsyncIterator[None]:
    assert site.auditor is not None
    site.auditor.kill()
    try:
        yield
    finally:
        site.auditor.start()


@asynccontextmanager
async def apps_are_behind(site: Site) -> AsyncIterator[None]:
    """They ask, again and again, with a consent to a policy that isn't in force."""
    async with site.phone() as phone:
        asking = asyncio.create_task(_keep_asking(phone, policy_version="2020-01"))
        try:
            yield
        finally:
            await _end(asking)


# --- how ---


async def _take_back(upload: Upload) -> None:
    """The app revokes it; holders have two seconds to confirm before it is told that this takes longer."""
    with suppress(MeshError):
        await upload.phone.ask("Revoke", pb.RevokeRequest(photo_id=upload.accepted.photo_id))


async def _end(*tasks: asyncio.Task[None]) -> None:
    """Cancels them until they are over: grpc.aio loses a cancellation that meets the end of a call."""
    while running := [task for task in tasks if not task.done()]:
        for task in running:
            task.cancel()
        await asyncio.wait(running, timeout=0.2)


async def _keep_waiting(site: Site, phone: Phone) -> None:
    """Photos, several at a time, whose pictures come late."""
    uploaded = 0.0

    def late() -> bool:
        return time.monotonic() - uploaded > TOO_LATE

    while True:
        await site.fault("render", "slow", on=True)
        uploads = [await (await phone.render().start(SCENE, ttl=60.0)).upload(photo(n)) for n in range(FAILURES)]
        uploaded = time.monotonic()
        await eventually(late, within=2 * TOO_LATE, every=0.1)
        await site.fault("render", "slow", on=False)
        await asyncio.gather(*(upload.until("seal") for upload in uploads))
        for upload in uploads:
            upload.hang_up()


async def _keep_asking(phone: Phone, **start: str) -> None:
    """Photos, one after the other, whatever is answered. start: fields of their `start`."""
    while True:
        upload = phone.render()
        with suppress(MeshError, EOFError):
            await upload.start(SCENE, ttl=10.0, **start)
            await upload.upload(photo(1))
            await upload.until("seal")
        upload.hang_up()


TABLE: Mapping[str, Trouble] = {
    "MayflyConsentRefused": apps_are_behind,
    "MayflyUnleasedPhotos": photos_come_without_a_lease,
    "MayflyKeyWithoutTtl": somebody_else_writes,
    "MayflyKeyUnsound": somebody_else_writes,
    "MayflyRegistryUnsafe": settings_change_and_nobody_minds,
    "MayflyGrantedWhileUnsafe": settings_change_and_nobody_minds,
    "MayflyScrubDisagreement": code_goes_wrong,
    "MayflyDecoderForbidden": code_goes_wrong,
    "MayflyLogFieldWithheld": code_goes_wrong,
    "MayflyMetricValueWithheld": code_goes_wrong,
    "MayflyTraceFieldWithheld": code_goes_wrong,
    "MayflyScenesRefused": scene_is_broken,
    "MayflyRevocationUnconfirmed": render_stands_still,
    "MayflyCustodyOverdue": render_stands_still,
    "MayflyLeaseIrrevocable": render_stands_still,
    "MayflyDeletionLagBurn": render_stands_still,
    "MayflyMemoryUnswept": render_wakes_late,
    "MayflyLatencyBurn": engine_is_slow,
    "MayflyCustodyLost": render_dies_with_photos,
    "MayflyServiceDown": ingest_is_dead,
    "MayflyRpcFailures": ingest_is_dead,
    "MayflyAvailabilityBurn": ingest_is_dead,
    "MayflyCustodyStreamDown": purge_is_dead,
    "MayflyReceiptsUnlogged": disk_is_full,
    "MayflyLogLagging": checkpoint_is_in_the_way,
    "MayflyWitnessRefused": witness_knows_another_history,
    "MayflyLeaseOverdue": reaper_sleeps,
    "MayflyLockdownIncomplete": render_is_set_up_for_development,
    "MayflyOpsPortOpen": render_is_set_up_for_development,
    "MayflyPicturesUnmarked": render_is_set_up_for_development,
    "MayflyPoolImpostor": strangers_at_the_pool,
    "MayflyCredentialsExpiring": strangers_at_the_pool,
    "MayflyTracesLost": collector_is_away,
    "MayflyConservationBroken": lease_is_forgotten,
    "MayflyGrantWithoutEnd": lease_is_forgotten,
    "MayflyCountsDisagree": lease_is_forgotten,
    "MayflyAuditSilent": auditor_is_dead,
    "MayflyCanaryResidue": ingest_keeps_photos,
    "MayflyResidencyBurn": nobody_collects,
    "MayflyRegistryDown": redis_is_gone,
}
"""Alert → how it is caused and mended. In this order: what ends every lease comes last."""

AUDITED = (lease_is_forgotten, auditor_is_dead, ingest_keeps_photos)
"""Those that take an auditor."""


def alerts_of(trouble: Trouble) -> set[str]:
    """What a trouble is to set off."""
    return {alert for alert, cause in TABLE.items() if cause is trouble}
