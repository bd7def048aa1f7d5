"""Real servers of every topology, with purge's user and an administrator."""

from __future__ import annotations

from mesh.testing.redis_server import Users
from services.purge.acl import acl_rules, arguments
from tests.unit.services.purge.world import ADMIN, PASSWORD, sha256

USERS = Users(
    acl=acl_rules("purge", sha256(PASSWORD.encode())) + f"user admin on #{sha256(ADMIN.encode())} ~* &* +@all\n",
    username="purge",
    password=PASSWORD,
    admin="admin",
    admin_password=ADMIN,
)
VALKEY, REDIS = arguments(valkey=True), arguments(valkey=False)
