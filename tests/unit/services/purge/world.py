"""Real servers and what tests look at in them."""

from __future__ import annotations

import hashlib
import secrets
from typing import Any

import redis

from mesh.testing.valkey import ValkeyServer
from services.purge.acl import acl_rules, arguments
from services.purge.record import Grant

PASSWORD = "purge-password"
ADMIN = "admin-password"
SECRET = b"claim-secret-of-this-photo......"


def sha256(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()


def new_valkey(*extra: str) -> ValkeyServer:
    """A server as Mayfly wants it (``extra`` settings come last and win), with an administrator beside purge."""
    acl = acl_rules("purge", sha256(PASSWORD.encode())) + f"user admin on #{sha256(ADMIN.encode())} ~* &* +@all\n"
    return ValkeyServer(acl=acl, username="purge", password=PASSWORD, arguments=[*arguments(valkey=True), *extra])


def admin_of(server: ValkeyServer) -> Any:
    return redis.Redis.from_url(server.url_for("admin", ADMIN), socket_timeout=2)


def keys_without_ttl(client: Any) -> list[bytes]:
    return [key for key in client.scan_iter(count=1000) if client.pttl(key) == -1]


def a_grant(*, ttl: float = 60.0, now: float = 1_000_000.0, owner: str = "0" * 32, secret: bytes = SECRET) -> Grant:
    return Grant(secrets.token_hex(16), now, now + ttl, owner, sha256(secret), "", "2026-11")
