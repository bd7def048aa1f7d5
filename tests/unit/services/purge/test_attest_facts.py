"""Each fact that attestation knows, brought about on a real server; and what it does about a loss."""

from __future__ import annotations

import os
import secrets
from collections.abc import AsyncIterator
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from mesh.clock import SystemClock
from mesh.errors import Unavailable
from mesh.testing.redis_server import RedisServer
from mesh.testing.valkey import ValkeyServer
from mesh.testing.wait import eventually
from services.purge import keys, parked
from services.purge.address import RedisAddress
from services.purge.attest import Attestation
from services.purge.facts import Seen, judge_primary, judge_replica
from services.purge.keyspace import MAX_SEGMENT, ceilings, is_sealed
from services.purge.link import Link
from tests.unit.services.purge.redises import USERS, VALKEY
from tests.unit.services.purge.world import admin_of

PHOTO = keys.of_photo("ab" * 16)
SEALED = AESGCM(bytes(32)).encrypt(bytes(12), bytes(1000), b"")


@pytest.fixture
async def attestation(own_valkey: ValkeyServer) -> AsyncIterator[Attestation]:
    link = Link(RedisAddress(own_valkey.url))
    await link.load_library()
    yield Attestation(link, SystemClock(), quarantine=300)
    await link.close()


async def facts(attestation: Attestation) -> set[str]:
    await attestation.look()
    return set(attestation.violations)


async def test_a_memory_without_limit(attestation: Attestation, own_valkey: ValkeyServer) -> None:
    admin_of(own_valkey).config_set("maxmemory", 0)
    assert await facts(attestation) == {"maxmemory"}


async def test_a_user_that_may_too_much(attestation: Attestation, own_valkey: ValkeyServer) -> None:
    admin = admin_of(own_valkey)
    admin.execute_command("ACL", "SETUSER", "purge", "+save", "+config|set")
    assert await facts(attestation) == {"acl"}
    assert "may run CONFIG SET, SAVE;" in attestation.violations["acl"]
    admin.execute_command("ACL", "SETUSER", "purge", "-save", "-config|set", "-acl|dryrun")
    assert await facts(attestation) == set()
    assert attestation.unseen == ("acl",)


async def test_the_default_user_is_none_of_ours(own_valkey: ValkeyServer) -> None:
    admin_of(own_valkey).execute_command("ACL", "SETUSER", "default", "on", "nopass", "~*", "+@all")
    link = Link(RedisAddress(f"unix://{own_valkey.socket}"))
    attestation = Attestation(link, SystemClock(), quarantine=300)
    assert await facts(attestation) == {"acl"}
    assert "default user" in attestation.violations["acl"]
    await link.close()


async def test_plain_tcp_is_for_loopback_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    with RedisServer(USERS, VALKEY) as server:
        link = Link(RedisAddress(f"redis://{USERS.username}:{USERS.password}@127.0.0.1:{server.port}"))
        attestation = Attestation(link, SystemClock(), quarantine=300)
        assert await facts(attestation) == set()
        monkeypatch.setattr("services.purge.topology.is_loopback", lambda host: host != "127.0.0.1")
        assert await facts(attestation) == {"transport"}
        await link.close()


async def test_a_replica_may_keep_nothing_and_is_no_place_to_write_to() -> None:
    with RedisServer(USERS, VALKEY) as primary, RedisServer(USERS, VALKEY) as replica:
        replica.ask("REPLICAOF", "127.0.0.1", primary.port)
        await eventually(lambda: replica.admin().info("replication")["master_link_status"] == "up")
        await eventually(lambda: primary.admin().info("replication")["slave0"]["state"] == "online")
        url = f"redis://{USERS.username}:{USERS.password}@127.0.0.1"
        link, wrong = (Link(RedisAddress(f"{url}:{server.port}")) for server in (primary, replica))
        attestation = Attestation(link, SystemClock(), quarantine=300)
        assert await facts(attestation) == set()
        assert attestation.unseen == ()
        replica.ask("CONFIG", "SET", "repl-diskless-load", "disabled")
        assert await facts(attestation) == {"replica_disk"}
        replica.ask("CONFIG", "SET", "repl-diskless-load", "swapdb", "save", "1 1")
        assert await facts(attestation) == {"replica_disk"}
        assert (
            "a replica keeps what it gets: persistence is on: CONFIG 'save'" in attestation.violations["replica_disk"]
        )
        replica.ask("CONFIG", "SET", "save", "")
        primary.ask("CONFIG", "SET", "repl-diskless-sync", "no")
        assert await facts(attestation) == {"replica_disk"}
        primary.ask("CONFIG", "SET", "repl-diskless-sync", "yes")
        replica.ask("SAVE")
        assert await facts(attestation) == {"snapshot"}
        assert "role" in await facts(Attestation(wrong, SystemClock(), quarantine=300))
        replica.pause()
        assert await facts(attestation) == {"snapshot"}
        assert attestation.unseen == ("replicas",)
        for open_link in (link, wrong):
            await open_link.close()


def test_a_snapshot_for_a_replica_that_never_touches_a_disk_is_none() -> None:
    info = {"rdb_bgsave_in_progress": "1", "slave0": "ip=127.0.0.1,port=1,state=wait_bgsave,offset=0,lag=0"}
    assert "snapshot" not in judge_primary(Seen(info, {"repl-diskless-sync": "yes"})).violations
    assert "snapshot" in judge_primary(Seen(info, {"repl-diskless-sync": "no"})).violations
    assert "snapshot" in judge_primary(Seen({"rdb_bgsave_in_progress": "1"}, {})).violations


def test_a_replica_elsewhere_needs_tls() -> None:
    plain = Seen({}, {"tls-replication": "no"})
    assert judge_replica(plain, loopback=False).violations.keys() == {"transport"}
    assert judge_replica(plain, loopback=True).violations == {}


@pytest.mark.parametrize(
    ("name", "most"),
    [
        (PHOTO.lease, 301.5), (PHOTO.parked, 301.5), (PHOTO.due, 301.5), (PHOTO.receipt, 3600),
        (keys.owner("a" * 32), 172_800), (keys.marker(7), 60), (keys.replica("purge-0"), 60), (keys.LEADER, 60),
    ],
)  # fmt: skip
async def test_a_key_that_outlives_its_kind(
    attestation: Attestation, own_valkey: ValkeyServer, name: str, most: float
) -> None:
    admin: Any = admin_of(own_valkey)
    put = admin.lpush if name == PHOTO.parked else admin.set
    put(name, SEALED)
    admin.pexpire(name, int(most * 1000 + 900))
    assert await facts(attestation) == set()
    admin.pexpire(name, int(most * 1000 + 5000))
    assert await facts(attestation) == {"long_ttl"}
    admin.delete(name)
    await attestation.look()
    assert await facts(attestation) == set()


def test_every_kind_of_key_has_a_ceiling() -> None:
    names = [*PHOTO, keys.owner("a" * 32), keys.quota("a" * 32, "2026-11-23"), keys.pseudonym_key("2026-11-23")]
    names += [keys.marker(0), keys.replica("purge-0"), keys.LEADER, keys.TERM]
    assert all(keys.is_ours(name.encode()) for name in names)
    assert {name.partition(":")[0].encode() for name in names} == ceilings(300).keys()


@pytest.mark.parametrize(
    "value",
    [b"\xff\xd8\xff\xe0" + os.urandom(900), b"RIFF" + os.urandom(900), bytes(900), b"a line of text, and more" * 9,
     b"short", os.urandom(4) + b"ftypheic" + os.urandom(50), os.urandom(MAX_SEGMENT + 1)],
    ids=["jpeg", "webp", "zeros", "text", "short", "heic", "too large"],
)  # fmt: skip
async def test_a_parked_value_that_is_no_ciphertext(
    attestation: Attestation, own_valkey: ValkeyServer, value: bytes
) -> None:
    admin: Any = admin_of(own_valkey)
    admin.rpush(PHOTO.parked, value)
    admin.pexpire(PHOTO.parked, 60_000)
    assert await facts(attestation) == {"parked_plaintext"}
    admin.delete(PHOTO.parked)
    await attestation.look()
    assert await facts(attestation) == set()


async def test_a_parked_value_of_another_type(attestation: Attestation, own_valkey: ValkeyServer) -> None:
    admin_of(own_valkey).set(PHOTO.parked, SEALED, px=60_000)
    assert await facts(attestation) == {"parked_plaintext"}


async def test_looking_at_large_parked_values_moves_little(attestation: Attestation, own_valkey: ValkeyServer) -> None:
    admin: Any = admin_of(own_valkey)
    for number in range(4):
        name = keys.of_photo(f"{number:02x}" * 16).parked
        admin.rpush(name, os.urandom(1 << 20), os.urandom(1 << 20))
        admin.pexpire(name, 60_000)
    before = admin.info("stats")["total_net_output_bytes"]
    assert await facts(attestation) == set()
    assert admin.info("stats")["total_net_output_bytes"] - before < 64 << 10


def test_ciphertext_passes_and_its_bounds_are_parkings() -> None:
    assert MAX_SEGMENT == parked.MAX_SEGMENT
    cipher = AESGCM(secrets.token_bytes(32))
    for number in range(2000):
        head = cipher.encrypt(number.to_bytes(12), bytes(1 + number), b"")
        assert is_sealed(len(head), head[:256]), number


async def test_a_flush_is_reconciled_before_it_is_safe_again(
    attestation: Attestation, own_valkey: ValkeyServer
) -> None:
    calls: list[str] = []

    async def reconcile() -> None:
        calls.append(attestation.violations.get("changed", ""))
        if len(calls) == 1:
            raise Unavailable("REGISTRY_UNAVAILABLE", "away again", retry_after=1)

    attestation.on_changed.append(reconcile)
    assert await facts(attestation) == set()
    assert await facts(attestation) == set()
    assert calls == []
    admin_of(own_valkey).flushall()
    assert await facts(attestation) == {"changed"}, "it failed the first time"
    assert await facts(attestation) == set()
    assert await facts(attestation) == set()
    assert len(calls) == 2
    assert all("leases are being reconciled" in said for said in calls)


async def test_an_answer_that_nobody_understands_is_not_safe_and_is_asked_again(
    attestation: Attestation, monkeypatch: pytest.MonkeyPatch
) -> None:
    await attestation.start()
    attestation.require_safe()
    with monkeypatch.context() as broken:
        broken.setattr("services.purge.look._parsed", lambda info: info["no such thing"])
        await eventually(lambda: "unattested" in attestation.violations)
    await eventually(lambda: attestation.safe)
    await attestation.stop()


async def test_a_restart_is_a_loss_and_so_is_a_server_that_was_away_at_the_start(own_valkey: ValkeyServer) -> None:
    link, calls = Link(RedisAddress(own_valkey.url)), []
    attestation = Attestation(link, SystemClock(), quarantine=300)

    async def reconcile() -> None:
        calls.append(1)

    attestation.on_changed.append(reconcile)
    own_valkey.kill()
    await attestation.start()
    assert "unattested" in attestation.violations
    own_valkey.start()
    await eventually(lambda: attestation.safe)
    assert len(calls) == 1
    own_valkey.kill()
    own_valkey.start()
    await eventually(lambda: len(calls) == 2 and attestation.safe)
    own_valkey.pause()
    await eventually(lambda: "unattested" in attestation.violations)
    own_valkey.resume()
    await eventually(lambda: attestation.safe)
    assert len(calls) == 2, "nothing was lost"
    await attestation.stop()
    await link.close()
