"""Debian's Redis over mutual TLS: its certificate changes, then its authority, while photos go through."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from dataclasses import astuple
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from clients.local.authority import KeyPair, loopback_names, new_authority, new_leaf, utc_now
from mesh.testing.redis_server import HOST, RedisServer, Tls
from tests.chaos import promises
from tests.chaos.crowd import Crowd
from tests.chaos.deployments import PLAIN_ARGUMENTS, overrides, single_url, users
from tests.chaos.ordeal import PROMISED, endure, works


class Certificates:
    """Files in one folder: what the server shows, what purge shows, and whom each of them trusts."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._authority = new_authority(utc_now())
        self.server = Tls(folder / "ca.pem", folder / "server.pem", folder / "server.key.pem")
        self.client = Tls(folder / "ca.pem", folder / "client.pem", folder / "client.key.pem")
        self.trust(self._authority)
        self.issue(self.server)
        self.issue(self.client)

    def trust(self, *authorities: KeyPair) -> None:
        self.server.ca.write_bytes(b"".join(authority.certificate_pem() for authority in authorities))

    def issue(self, files: Tls) -> None:
        """A new pair in the same files."""
        leaf = new_leaf(self._authority, "redis", loopback_names(), utc_now())
        files.key.write_bytes(leaf.key_pem())
        files.cert.write_bytes(leaf.certificate_pem())

    def change_authority(self) -> None:
        """The next certificates come from another; both are trusted."""
        before, self._authority = self._authority, new_authority(utc_now())
        self.trust(before, self._authority)

    def forget_the_old_authority(self) -> None:
        self.trust(self._authority)

    def issue_by_a_stranger(self, files: Tls) -> None:
        """A pair of an authority that nobody trusts."""
        ours, self._authority = self._authority, new_authority(utc_now())
        self.issue(files)
        self._authority = ours

    def shown(self, port: int) -> bytes:
        """What the server shows to a client, DER."""
        context = ssl.create_default_context(cafile=str(self.server.ca))
        context.load_cert_chain(self.client.cert, self.client.key)
        with (
            socket.create_connection((HOST, port), timeout=2) as raw,
            context.wrap_socket(raw, server_hostname=HOST) as connection,
        ):
            return connection.getpeercert(binary_form=True) or b""

    def issued(self) -> bytes:
        """What it should show, DER."""
        return x509.load_pem_x509_certificate(self.server.cert.read_bytes()).public_bytes(Encoding.DER)


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    return Certificates(tmp_path)


@pytest.fixture
def redis(certificates) -> Iterator[RedisServer]:
    binary = shutil.which("redis-server")
    if binary is None:
        pytest.skip("redis-server is not installed (Debian: redis-server)")
    with RedisServer(users(), PLAIN_ARGUMENTS, binary=binary, tls=certificates.server) as server:
        yield server


@contextlib.contextmanager
def reloading(redis: RedisServer, files: Tls) -> Iterator[Callable[[], None]]:
    """What makes the server read its files again; everybody else has to connect anew."""
    settings = zip(("tls-ca-cert-file", "tls-cert-file", "tls-key-file"), astuple(files), strict=True)
    words = [str(word) for setting in settings for word in setting]
    # One connection for all: later ones may have reason not to trust the server.
    with redis.admin() as admin:
        admin.ping()

        def reload() -> None:
            admin.execute_command("CONFIG", "SET", *words)
            admin.execute_command("CLIENT", "KILL", "TYPE", "NORMAL", "SKIPME", "YES")

        yield reload


async def test_certificates_and_their_authority_change_while_photos_go_through(chaos_mesh, certificates, redis):
    url, client = single_url(redis.users, redis.port, "rediss"), certificates.client
    names = ("MAYFLY_REDIS_TLS_CA", "MAYFLY_REDIS_TLS_CERT", "MAYFLY_REDIS_TLS_KEY")
    mesh = chaos_mesh(overrides(url, **dict(zip(names, map(str, astuple(client)), strict=True))))

    async def rotated() -> None:
        with reloading(redis, certificates.server) as reload:
            for prepare in (lambda: None, certificates.change_authority, certificates.forget_the_old_authority):
                prepare()
                certificates.issue(certificates.server)
                certificates.issue(certificates.client)
                await asyncio.to_thread(reload)
                assert await asyncio.to_thread(certificates.shown, redis.port) == certificates.issued()

    await endure(mesh, rotated, [redis])
    async with Crowd(mesh) as crowd:
        with reloading(redis, certificates.server) as reload:
            certificates.issue_by_a_stranger(certificates.server)
            await asyncio.to_thread(reload)
            assert {trip.end for trip in await crowd.together(4)} == {"REGISTRY_UNAVAILABLE"}
            certificates.issue(certificates.server)
            await asyncio.to_thread(reload)
        healed = time.monotonic()
        assert await works(crowd) - healed <= PROMISED
        promises.nobody_has_anothers(crowd)
        await promises.each_has_one_receipt(mesh, crowd)
