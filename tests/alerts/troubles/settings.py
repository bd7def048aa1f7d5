"""How services are set up."""

from __future__ import annotations

import asyncio
import shutil
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc

from clients.local.authority import CONTENT_LIFETIME, new_content_signer, utc_now
from mesh.testing.ports import HOST, Reserved
from tests.alerts.site import Site
from tests.alerts.troubles.asking import ended, keep_asking
from tests.triton.server import Authority, processors_file


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
            asking = asyncio.create_task(keep_asking(phone))
            try:
                yield
            finally:
                await ended(asking)
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
