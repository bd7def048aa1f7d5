"""What the auditor must find is planted, and found, and named: every way of leaking, with the right service."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis

from mesh.forgetting.environment import SETTINGS
from mesh.testing.valkey import ValkeyServer
from mesh.testing.wait import eventually
from services.purge import acl
from services.purge.address import RedisAddress
from services.purge.auditor.canary import canary
from services.purge.auditor.canary.canary import Canary
from services.purge.auditor.endings import ENDINGS, Gone
from services.purge.auditor.hunt.index import Needle, NeedleIndex
from services.purge.auditor.places import processes
from services.purge.auditor.places.descriptors import Descriptors
from services.purge.auditor.places.files import Files
from services.purge.auditor.places.found import Found, Hunted, Place
from services.purge.auditor.places.logs import Logs
from services.purge.auditor.places.memory import Memory
from services.purge.auditor.places.metrics import Metrics
from services.purge.auditor.places.registry import Registry
from services.purge.auditor.run import Ended, hunted_for
from tests.unit.services.purge.evidence.test_prometheus import Server, server

__all__ = ["server"]

LEAKY = Path(__file__).parents[4] / "leaks/leaky.py"
PHOTO = "0123456789abcdef0123456789abcdef"
PASSWORD = "p" * 20


@pytest.fixture(scope="module", params=["jpeg", "png", "webp"])
def hunt(request: pytest.FixtureRequest) -> tuple[Canary, Hunted]:
    """A canary, delivered, of each plain format."""
    made = canary.make(request.param)
    return made, hunted_for([Ended(ENDINGS[0], made, Gone(PHOTO))])


@contextmanager
def leaky(way: str, folder: Path, photo: bytes) -> Iterator[int]:
    """A service that has had the photo and keeps it in this way; its pid."""
    command = [sys.executable, str(LEAKY), way, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write(b"%d\n" % len(photo) + photo)
        child.stdin.flush()
        assert child.stdout.readline() == b"done\n"
        yield child.pid
        child.stdin.close()


def search(place: Place, hunted: Hunted) -> list[Found]:
    results = place.search(hunted)
    assert [sentence for searched in results for sentence in searched.failed] == []
    return [found for searched in results for found in searched.found]


@pytest.mark.parametrize("way", ["in_a_list", "by_ordinary_malloc"])
def test_memory(way: str, hunt: tuple[Canary, Hunted], tmp_path: Path) -> None:
    made, hunted = hunt
    with leaky(way, tmp_path, made.data) as pid:
        found = search(Memory(lambda: processes.find([("ingest", str(pid))])), hunted)
    assert {(each.service, each.where, each.what) for each in found} == {("ingest", "memory", "delivered/upload")}
    # All of the file is there, often more than once; but for what is common to all of its format.
    assert sum(each.bytes for each in found) > 0.97 * len(made.data)


@pytest.mark.parametrize(
    ("way", "where"),
    [
        ("in_a_temporary_file", "file"),
        ("in_a_core_file", "core"),
    ],
)
def test_files(way: str, where: str, hunt: tuple[Canary, Hunted], tmp_path: Path) -> None:
    made, hunted = hunt
    place = Files([("ingest", tmp_path)], processes=dict)
    with leaky(way, tmp_path, made.data):
        found = search(place, hunted)
    assert [(each.service, each.where, each.what) for each in found] == [("ingest", where, "delivered/upload")]
    assert found[0].bytes > 0.97 * len(made.data)


async def test_only_files_that_have_changed_are_searched_again(hunt: tuple[Canary, Hunted], tmp_path: Path) -> None:
    made, hunted = hunt
    place, file = Files([("ingest", tmp_path)], processes=dict), tmp_path / "file"
    file.write_bytes(made.data)
    past = time.time() - 3600
    os.utime(file, (past, past))  # its mtime; nobody can set its ctime back
    assert len(search(place, hunted)) == 1
    # Files are dated by a clock that ticks; a search allows for some ticks.
    await eventually(lambda: not search(place, hunted))
    file.chmod(0o600)
    assert len(search(place, hunted)) == 1


@pytest.mark.parametrize("way", ["in_a_deleted_file", "in_a_memfd"])
def test_files_without_a_name(way: str, hunt: tuple[Canary, Hunted], tmp_path: Path) -> None:
    made, hunted = hunt
    with leaky(way, tmp_path, made.data) as pid:
        found = search(Descriptors(lambda: processes.find([("ingest", str(pid))])), hunted)
    assert [(each.service, each.where) for each in found] == [("ingest", "descriptor")]
    assert found[0].bytes > 0.97 * len(made.data)


@pytest.mark.parametrize(
    "way", ["in_the_log_as_repr", "in_the_log_as_hex", "in_the_log_as_base64", "in_the_log_as_json"]
)
def test_logs(way: str, hunt: tuple[Canary, Hunted], tmp_path: Path) -> None:
    made, hunted = hunt
    log = tmp_path / "leaky.log"
    log.write_text("started\n")
    place = Logs([("ingest", log)])
    with leaky(way, tmp_path, made.data):
        found = search(place, hunted)
    assert {(each.service, each.where, each.what) for each in found} == {("ingest", "log", "delivered/upload")}


def test_a_log_that_was_rotated_and_has_grown_again(hunt: tuple[Canary, Hunted], tmp_path: Path) -> None:
    made, hunted = hunt
    log = tmp_path / "leaky.log"
    log.write_text("started\n" * 700)
    place = Logs([("ingest", log)])
    log.rename(tmp_path / "leaky.log.1")
    log.write_text(f"{made.data[:2000].hex()}\n" + "more\n" * 1000)
    assert {each.what for each in search(place, hunted)} == {"delivered/upload"}


def test_a_name_may_say_too_much(hunt: tuple[Canary, Hunted], tmp_path: Path) -> None:
    made, hunted = hunt
    place = Files([("ingest", tmp_path)], processes=dict)
    middle = len(made.data) // 2
    (tmp_path / made.data[middle : middle + 100].hex()).touch()
    assert [(each.what, each.where) for each in search(place, hunted)] == [("delivered/upload", "file")]


def test_metrics(hunt: tuple[Canary, Hunted], tmp_path: Path) -> None:
    made, hunted = hunt
    with leaky("in_metrics", tmp_path, made.data):
        found = search(Metrics([("ingest", f"127.0.0.1:{(tmp_path / 'port').read_text()}")]), hunted)
    assert {(each.service, each.where) for each in found} == {("ingest", "metrics")}


@pytest.mark.parametrize(
    "leaks", ["/metrics", "/readyz", "/evidence", "/evidence?receipt=0", f"/evidence?receipt={PHOTO}", "unknown"]
)
def test_each_page_of_an_ops_port(leaks: str, hunt: tuple[Canary, Hunted], server: Server) -> None:
    made, hunted = hunt
    known = {"/metrics", "/readyz", "/evidence", "/evidence?receipt=0", f"/evidence?receipt={PHOTO}"}
    middle = len(made.data) // 2
    planted = made.data[middle : middle + 100].hex().encode()
    server.body = lambda path: planted if leaks == (path if path in known else "unknown") else b"nothing"
    (found,) = search(Metrics([("purge", f"127.0.0.1:{server.http.server_port}")]), hunted)
    assert (found.service, found.where, found.what) == ("purge", "metrics", "delivered/upload")
    server.body = b"nothing"
    assert search(Metrics([("purge", f"127.0.0.1:{server.http.server_port}")]), hunted) == []


def test_nothing_is_found_where_nothing_is(hunt: tuple[Canary, Hunted], tmp_path: Path) -> None:
    _, hunted = hunt
    (tmp_path / "leaky.log").write_text("started\n")
    with leaky("not_at_all", tmp_path, b"another photo, of which nothing is sought") as pid:
        mine = lambda: processes.find([("ingest", str(pid))])  # noqa: E731
        for place in (
            Memory(mine),
            Files([("ingest", tmp_path)], processes=mine),
            Descriptors(mine),
            Logs([("ingest", tmp_path / "leaky.log")]),
        ):
            assert search(place, hunted) == []


@pytest.fixture
def valkey() -> Iterator[ValkeyServer]:
    """Without the settings and the allocator's tunables that Mayfly starts it with; but with its users."""
    digest = hashlib.sha256(PASSWORD.encode()).hexdigest()
    with ValkeyServer(acl=acl.acl_rules("purge", digest, digest), username="purge", password=PASSWORD) as server:
        yield server


def _registry(server: ValkeyServer) -> Registry:
    return Registry(RedisAddress(server.url_for(acl.AUDITOR, PASSWORD)))


def test_redis_keeps_what_it_must_not(valkey: ValkeyServer, hunt: tuple[Canary, Hunted]) -> None:
    made, hunted = hunt
    with redis.Redis.from_url(valkey.url) as client:
        client.set("parked:{01}:" + "0" * 32, made.data, ex=100)
        client.set("quota:nobody", "1")
        client.set("lease:{01}:" + PHOTO, "ended long ago", ex=100)
        client.set("receipt:{01}:" + PHOTO, "may stay", ex=100)
        found = search(_registry(valkey), hunted)
    assert {(each.service, each.where, each.what) for each in found} == {
        ("valkey", "redis", "delivered/upload"),
        ("valkey", "redis", "key_without_ttl"),
        ("valkey", "redis", "key_of_ended_photo"),
    }
    details = {each.what: each.detail for each in found}
    assert details["key_without_ttl"] == "quota:nobody"
    assert details["key_of_ended_photo"] == "lease:{01}:" + PHOTO


def test_an_ordinary_redis_keeps_what_was_deleted_in_its_memory(
    valkey: ValkeyServer, hunt: tuple[Canary, Hunted]
) -> None:
    made, hunted = hunt
    with redis.Redis.from_url(valkey.url) as client:
        client.set("parked:{01}:" + "0" * 32, made.data, ex=100)
        client.delete("parked:{01}:" + "0" * 32)
        found = search(Memory(lambda: processes.find([("valkey", str(valkey.pid))])), hunted)
        assert search(_registry(valkey), hunted) == []
    assert {(each.service, each.where) for each in found} == {("valkey", "memory")}
    assert sum(each.bytes for each in found) > 1000


def test_the_auditor_can_read_every_key_and_write_none(valkey: ValkeyServer) -> None:
    with redis.Redis.from_url(valkey.url_for(acl.AUDITOR, PASSWORD)) as client:
        for command in (("SET", "a", "1"), ("DEL", "a"), ("CONFIG", "GET", "save"), ("SAVE",), ("FLUSHALL",)):
            with pytest.raises(redis.exceptions.NoPermissionError):
                client.execute_command(*command)


@pytest.mark.parametrize("compressed", [False, True], ids=["as_mayfly_starts_it", "compressing"])
async def test_reading_a_small_parked_picture_leaves_nothing_of_it(
    compressed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the server compresses dumps, it keeps the last small one. (Where functions are bound at their first call,
    its stack keeps what the processor's vector registers held: most, where they are wide.)"""
    for name in ("GLIBC_TUNABLES", "LD_BIND_NOW"):
        monkeypatch.setenv(name, SETTINGS[name])
    arguments = [*acl.arguments(valkey=True), *(["--rdbcompression", "yes"] if compressed else [])]
    digest = hashlib.sha256(PASSWORD.encode()).hexdigest()
    rules, ciphertext = acl.acl_rules("purge", digest, digest), os.urandom(600)
    with ValkeyServer(acl=rules, username="purge", password=PASSWORD, arguments=arguments) as server:
        key = f"parked:{{01}}:{PHOTO}"
        with redis.Redis.from_url(server.url) as client:
            client.rpush(key, b"head", ciphertext, b"tail")
            client.pexpire(key, 100_000)
        dump = await _registry(server).parked(PHOTO)
        assert ciphertext in dump or compressed
        with redis.Redis.from_url(server.url) as client:
            client.delete(key)
            client.execute_command("PING", bytes(24 << 10))  # as purge rinses its connections
        found = Hunted(NeedleIndex([Needle("parked/ciphertext", ciphertext)]))
        left = search(Memory(lambda: {"valkey": [server.pid]}), found)
    assert bool(left) == compressed
