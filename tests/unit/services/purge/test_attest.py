"""No lease while the registry's Redis breaks a rule; the refusal names the setting. Real servers, wrongly set up."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from mesh.clock import SystemClock
from mesh.errors import Unavailable
from mesh.testing.valkey import ValkeyServer
from mesh.testing.wait import eventually
from services.purge import attest
from services.purge.address import RedisAddress
from services.purge.attest import Attestation
from services.purge.facts import FACTS, UNSEEN, Seen, judge_primary
from services.purge.link import Link
from tests.unit.services.purge.desk import desk
from tests.unit.services.purge.world import admin_of, new_valkey


@pytest.fixture
async def attestation(own_valkey: ValkeyServer) -> AsyncIterator[Attestation]:
    link = Link(RedisAddress(own_valkey.url))
    yield Attestation(link, SystemClock(), quarantine=300)
    await link.close()


def refusal(attestation: Attestation) -> str:
    with pytest.raises(Unavailable) as caught:
        attestation.require_safe()
    return str(caught.value)


async def test_a_server_as_mayfly_wants_it_is_safe(attestation: Attestation) -> None:
    await attestation.look()
    attestation.require_safe()
    assert attestation.unseen == ()


async def test_nothing_is_safe_before_the_first_look(attestation: Attestation) -> None:
    assert "REGISTRY_UNAVAILABLE" in refusal(attestation)
    await attestation._link.run(lambda r: r.ping())
    assert "REGISTRY_UNSAFE" in refusal(attestation)
    assert "not been attested" in refusal(attestation)


@pytest.mark.parametrize(
    ("setting", "value", "sentence"),
    [
        ("save", "3600 1", "persistence is on: CONFIG 'save' is '3600 1'"),
        ("appendonly", "yes", "persistence is on: CONFIG 'appendonly' is 'yes'"),
        ("maxmemory-policy", "allkeys-lru", "'maxmemory-policy' is 'allkeys-lru'"),
    ],
)
async def test_a_wrong_setting_is_refused_by_its_name(
    attestation: Attestation, own_valkey: ValkeyServer, setting: str, value: str, sentence: str
) -> None:
    before = admin_of(own_valkey).config_get(setting)[setting]
    admin_of(own_valkey).config_set(setting, value)
    await attestation.look()
    assert sentence in refusal(attestation)
    admin_of(own_valkey).config_set(setting, before)
    if setting != "appendonly":  # turning that on has written a file, which stays a violation of its own
        await attestation.look()
        attestation.require_safe()


async def test_persistence_turned_on_at_run_time_stops_grants_within_two_seconds(
    own_valkey: ValkeyServer, tmp_path: Path
) -> None:
    assert attest.EVERY <= 1, "a look takes much less than the other second"
    async with desk(own_valkey.url, tmp_path / "log") as purge:
        await purge.grant()
        admin_of(own_valkey).config_set("save", "3600 1 300 100")
        await eventually(lambda: not purge.core.attestation.safe)
        with pytest.raises(Unavailable) as caught:
            await purge.grant()
        assert caught.value.reason == "REGISTRY_UNSAFE"
        assert "CONFIG 'save' is '3600 1 300 100'" in caught.value.message
        assert purge.metric("mayfly_registry_violation", fact="save") == 1
        assert purge.metric("mayfly_registry_safe") == 0
        assert purge.log.size == 1, "nothing was logged for it"
        admin_of(own_valkey).config_set("save", "")
        await eventually(lambda: purge.core.attestation.safe)
        await purge.grant()


async def test_a_purge_that_starts_on_a_persistent_server_grants_nothing(tmp_path: Path) -> None:
    with new_valkey("--appendonly", "yes") as server:
        async with desk(server.url, tmp_path / "log") as purge:
            with pytest.raises(Unavailable) as caught:
                await purge.grant()
            assert "CONFIG 'appendonly' is 'yes'" in caught.value.message


async def test_a_snapshot_that_somebody_took_stays_a_violation_until_its_leases_are_over(
    own_valkey: ValkeyServer, attestation: Attestation
) -> None:
    await attestation.look()
    admin_of(own_valkey).save()
    await attestation.look()
    assert "a snapshot was written" in refusal(attestation)
    await attestation.look()
    assert "a snapshot was written" in refusal(attestation)


async def test_strangers_and_keys_without_ttl(attestation: Attestation, own_valkey: ValkeyServer) -> None:
    admin: Any = admin_of(own_valkey)
    admin.set("somebody:else", "x", px=60_000)
    await attestation.look()
    assert "1 keys are not Mayfly's" in refusal(attestation)
    admin.delete("somebody:else")
    admin.set("owner:" + "0" * 32, "x")
    await attestation.look()
    assert "1 keys have no TTL" in refusal(attestation)
    assert (attestation.keys, attestation.keys_without_ttl) == (2, 1), "with the marker"
    admin.pexpire("owner:" + "0" * 32, 60_000)
    await attestation.look()
    attestation.require_safe()


async def test_a_stranger_among_thousands_stands_until_a_whole_pass_finds_none(
    attestation: Attestation, own_valkey: ValkeyServer
) -> None:
    admin: Any = admin_of(own_valkey)
    pipe = admin.pipeline(transaction=False)
    for _ in range(3000):
        pipe.set("owner:" + secrets.token_hex(16), "x", px=600_000)
    pipe.set("stranger", "x", px=600_000)
    pipe.execute()
    for _ in range(12):
        await attestation.look()
    assert "unknown_keys" in attestation.violations
    admin.delete("stranger")
    await attestation.look()
    for _ in range(24):
        await attestation.look()
    assert attestation.safe


async def test_where_config_is_barred_it_says_what_it_could_not_see(own_valkey: ValkeyServer) -> None:
    admin_of(own_valkey).execute_command("ACL", "SETUSER", "purge", "-config|get")
    link = Link(RedisAddress(own_valkey.url))
    attestation = Attestation(link, SystemClock(), quarantine=300)
    await attestation.look()
    attestation.require_safe()
    assert attestation.unseen == ("save", "replication")
    admin_of(own_valkey).config_set("appendonly", "yes")
    await attestation.look()
    assert "INFO 'aof_enabled' is 1" in refusal(attestation)
    await link.close()


async def test_a_server_that_can_not_be_seen_is_not_safe(attestation: Attestation, own_valkey: ValkeyServer) -> None:
    await attestation.start()
    assert attestation.safe
    own_valkey.kill()
    await eventually(lambda: not attestation.safe)
    assert "REGISTRY_UNAVAILABLE" in refusal(attestation)
    own_valkey.start()
    await eventually(lambda: attestation.safe)
    await attestation.stop()


def test_every_fact_is_on_the_metrics_list() -> None:
    config = {"save": "1 1", "appendonly": "yes", "maxmemory-policy": "x", "maxmemory": "0", "repl-diskless-sync": "no"}
    info = {"rdb_bgsave_in_progress": "1", "db0": "keys=2,expires=1,avg_ttl=0", "role": "slave"}
    worst = judge_primary(Seen(info, config, "default", ("SAVE",)))
    assert worst.violations.keys() == {
        "save", "appendonly", "snapshot", "maxmemory_policy", "maxmemory", "acl", "role", "replica_disk",
        "keys_without_ttl",
    }  # fmt: skip
    assert worst.violations.keys() <= set(FACTS)
    assert worst.unseen == {"last_save"}
    assert judge_primary(Seen({})).unseen < set(UNSEEN)


async def test_grants_are_refused_in_the_moment_of_the_start(own_valkey: ValkeyServer, tmp_path: Path) -> None:
    async with desk(own_valkey.url, tmp_path / "log", start=False) as purge:
        with pytest.raises(Unavailable):
            await purge.grant()
        await asyncio.gather(purge.core.start())
        await purge.grant()
