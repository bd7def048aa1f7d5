"""A full memory, and certificates that rotate, on real servers."""

from __future__ import annotations

import asyncio
import os
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from clients.local.authority import KeyPair, loopback_names, new_authority, new_leaf
from mesh.clock import SystemClock
from mesh.errors import Unavailable
from mesh.testing.cluster import Cluster
from mesh.testing.redis_server import RedisServer, Tls
from mesh.testing.sentinels import Sentinels
from mesh.testing.valkey import ValkeyServer
from mesh.testing.wait import eventually
from services.purge.address import RedisAddress
from services.purge.attest import Attestation
from services.purge.lease import Outcome
from services.purge.link import Link
from services.purge.registry import Registry, Reply
from tests.unit.services.purge.redises import REDIS, USERS
from tests.unit.services.purge.world import a_grant, admin_of

DAY = "2026-11-23"


async def test_a_full_memory_refuses_grants_and_lets_every_lease_end(own_valkey: ValkeyServer) -> None:
    admin = admin_of(own_valkey)
    link = Link(RedisAddress(own_valkey.url))
    registry, attestation = Registry(link), Attestation(link, SystemClock(), quarantine=300)
    await registry.start()
    grant, other = a_grant(), a_grant()
    await registry.grant(grant, DAY)
    await registry.grant(other, DAY)
    await registry.park_begin(grant.photo_id, grant.granted, [])
    await registry.park_segment(grant.photo_id, grant.granted, 0, 1 << 20, os.urandom(1000))
    await attestation.look()
    admin.config_set("maxmemory", 1)
    with pytest.raises(Unavailable) as caught:
        await registry.grant(a_grant(), DAY)
    assert (caught.value.reason, caught.value.retry_after, link.up) == ("REGISTRY_FULL", 1, True)
    with pytest.raises(Unavailable) as caught:
        await registry.park_segment(grant.photo_id, grant.granted, 1, 1 << 20, os.urandom(1000))
    assert caught.value.reason == "REGISTRY_FULL"
    await attestation.look()
    attestation.require_safe()
    record = await registry.decide(grant.photo_id, Outcome.REVOKED, "requested", grant.granted)
    assert record is not None
    await registry.finish(grant.photo_id, b"receipt", grant.owner)
    await registry.decide(other.photo_id, Outcome.EXPIRED, "overdue", other.expire)
    await registry.finish(other.photo_id, b"receipt", other.owner)
    assert {name.split(b":")[0] for name in admin.scan_iter()} <= {b"receipt", b"quota", b"marker"}
    admin.config_set("maxmemory", 1 << 28)
    assert (await registry.grant(a_grant(), DAY))[0] is Reply.OK
    await attestation.look()
    attestation.require_safe()
    await link.close()


@pytest.fixture
def binary() -> str:
    """A server with TLS, which the wheel's has not."""
    found = shutil.which("redis-server")
    if found is None:
        pytest.skip("redis-server is not installed (Debian: redis-server)")
    return found


class Certificates:
    """A CA after another, and the files of a server and of purge that follow."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bundle, self.cert, self.key = folder / "ca.pem", folder / "purge.pem", folder / "purge.key"
        self.authorities: list[KeyPair] = []
        self.renew()

    def renew(self) -> Tls:
        """Another CA, beside the old ones in the bundle; the server's new files."""
        now, number = datetime.now(UTC), len(self.authorities)
        authority = new_authority(now)
        self.authorities.append(authority)
        self.bundle.write_bytes(b"".join(a.certificate_pem() for a in self.authorities))
        self.server = Tls(self.bundle, self.folder / f"server{number}.pem", self.folder / f"server{number}.key")
        for cert, key in ((self.server.cert, self.server.key), (self.cert, self.key)):
            leaf = new_leaf(authority, "purge", loopback_names(), now)
            cert.write_bytes(leaf.certificate_pem())
            key.write_bytes(leaf.key_pem())
        return self.server

    def drop_old(self) -> None:
        """The bundle without what was replaced."""
        self.authorities = self.authorities[-1:]
        self.bundle.write_bytes(self.authorities[0].certificate_pem())


async def works(registry: Registry) -> bool:
    try:
        return (await registry.grant(a_grant(), DAY))[0] is Reply.OK
    except Unavailable:
        return False


async def test_certificates_rotate_under_a_running_purge(tmp_path: Path, binary: str) -> None:
    files = Certificates(tmp_path)
    first = files.server
    with RedisServer(USERS, REDIS, binary=binary, tls=first) as server, server.admin() as admin:
        admin.ping()
        url = f"rediss://{USERS.username}:{USERS.password}@127.0.0.1:{server.port}"
        address = RedisAddress(url, ca=files.bundle, cert=files.cert, key=files.key)
        registry = Registry(Link(address))
        await registry.start()
        attestation = Attestation(registry.link, SystemClock(), quarantine=300)
        await attestation.look()
        attestation.require_safe()
        for _ in range(2):
            new = files.renew()
            rotate(admin, new)
            files.drop_old()
            assert admin.execute_command("CLIENT", "KILL", "USER", "purge") > 0
            await eventually(lambda: works(registry))
        rotate(admin, first)
        admin.execute_command("CLIENT", "KILL", "USER", "purge")
        for _ in range(3):
            assert not await works(registry), "a certificate of a CA that is not trusted any more"
        rotate(admin, files.server)
        await eventually(lambda: works(registry))
        await registry.link.close()


@pytest.mark.parametrize("topology", [Cluster, Sentinels])
async def test_tls_to_every_server_of_a_topology(
    topology: type[Cluster | Sentinels], tmp_path: Path, binary: str
) -> None:
    files = Certificates(tmp_path)
    with topology(USERS, REDIS, binary=binary, tls=files.server) as redis:
        assert redis.url.startswith("rediss+")
        registry = Registry(Link(RedisAddress(redis.url, ca=files.bundle, cert=files.cert, key=files.key)))
        await registry.start()
        assert all(await asyncio.gather(*[works(registry) for _ in range(20)]))
        attestation = Attestation(registry.link, SystemClock(), quarantine=300)
        await attestation.look()
        attestation.require_safe()
        await registry.link.close()
        for wrong in (RedisAddress(redis.url, ca=files.bundle), RedisAddress(redis.url)):
            stranger = Registry(Link(wrong))
            with pytest.raises(Unavailable):
                await stranger.start()
            await stranger.link.close()


def rotate(admin: Any, new: Tls) -> None:
    admin.execute_command(
        "CONFIG", "SET", "tls-key-file", str(new.key), "tls-cert-file", str(new.cert), "tls-ca-cert-file", str(new.ca)
    )  # fmt: skip
