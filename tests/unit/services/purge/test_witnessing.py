"""Witnesses cosign the log: real servers that keep state and refuse forks."""

from __future__ import annotations

import asyncio
import dataclasses
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from clients.audit import Trust, audit_logs
from clients.cli.main import run
from clients.verify import verify_bundle
from mesh.clock import SystemClock
from mesh.errors import ConfigError, Unavailable
from mesh.testing.wait import eventually
from mesh.testing.witness import WitnessServer
from mesh.transparency.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint
from mesh.transparency.errors import VerificationError
from mesh.transparency.note import Signer, open_note
from mesh.transparency.tiles import DirectoryReader
from mesh.transparency.witness import Witness
from services.purge import witnessing as module
from services.purge.ledger import Ledger
from services.purge.log import Log
from services.purge.receipt import Receipt
from services.purge.signing import public_pem
from services.purge.witnessing import Witnessing, read_witnesses

KEY = Ed25519PrivateKey.from_private_bytes(b"r" * 32)
LOG = Signer("mayfly.test/log", Ed25519PrivateKey.from_private_bytes(b"l" * 32))


@pytest.fixture
def servers() -> Iterator[list[WitnessServer]]:
    running = [WitnessServer(f"witness.test/{n}", [LOG.verifier]) for n in range(3)]
    yield running
    for server in running:
        server.stop()


def clients(servers: list[WitnessServer], seconds: float = 2.0) -> list[Witness]:
    return [Witness(server.verifier, server.url, seconds=seconds) for server in servers]


def open_log(directory: Path) -> Log:
    return Log.open(directory, origin=LOG.name, signer=LOG, clock=SystemClock(), interval=0.02)


async def grow(log: Log, count: int) -> None:
    await log.append_many([b"%d" % n for n in range(count)])
    await log.integrate()


def cosigners(note: bytes, servers: list[WitnessServer]) -> int:
    found = open_note(note, [LOG.verifier, *(server.verifier for server in servers)])
    assert not found.unknown
    return len(found.verified) - 1


def served(log: Log, name: str = "checkpoint") -> bytes:
    return (log.public_directory / name).read_bytes()


async def test_checkpoints_are_cosigned_as_the_log_grows(tmp_path: Path, servers: list[WitnessServer]) -> None:
    log = open_log(tmp_path)
    witnesses = Witnessing(log, clients(servers), SystemClock())
    for size in (1, 2, 300, 300, 70_000):
        await grow(log, size - log.size)
        assert await witnesses.round()
        assert cosigners(served(log), servers) == cosigners(served(log, "cosigned"), servers) == 3
        assert {server.seen[LOG.name][0] for server in servers} == {size}
    assert servers[0].statuses == [200] * 5
    assert witnesses.results() == {"cosigned": 15, "away": 0, "refused": 0}
    await log.close()
    log = open_log(tmp_path)  # which knows nothing of what they have seen
    await grow(log, 5)
    assert await Witnessing(log, clients(servers), SystemClock()).round()
    assert servers[0].statuses[5:] == [409, 200] and log.cosigned_size == 70_005
    await log.close()


async def test_witnesses_that_are_away_delay_nothing(
    tmp_path: Path, servers: list[WitnessServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PAUSE", 0.02)
    monkeypatch.setattr(module, "AGAIN", 0.05)
    hole = socket.create_server(("127.0.0.1", 0))  # takes connections, and never answers
    silent = Witness(servers[2].verifier, f"http://127.0.0.1:{hole.getsockname()[1]}", seconds=0.5)
    servers[0].failing = 503
    log = open_log(tmp_path)
    witnesses = Witnessing(log, [*clients(servers[:2]), silent], SystemClock())
    await witnesses.start()
    await grow(log, 10)
    await eventually(lambda: cosigners(served(log), servers) == 1)
    servers[1].stop()
    await grow(log, 10)
    assert open_checkpoint(log.checkpoint, LOG.verifier).size == 20 and cosigners(served(log), servers) == 0
    servers[0].failing = None
    servers[1].start()
    await eventually(lambda: log.cosigned_size == 20 and cosigners(served(log), servers) == 2)
    assert witnesses.answers["away"] > 2 and not witnesses.answers["refused"]
    await witnesses.stop()
    hole.close()
    await log.close()


async def test_a_fork_gets_no_cosignature(tmp_path: Path, servers: list[WitnessServer]) -> None:
    for name in ("one", "other"):
        log = open_log(tmp_path / name)
        await log.append(name.encode())
        await grow(log, 9)
        witnesses = Witnessing(log, clients(servers), SystemClock())
        assert await witnesses.round() == (name == "one")
        if name == "other":
            assert witnesses.answers["refused"] == 3 and log.cosigned_size == 0
            await grow(log, 5)
            assert not await witnesses.round() and cosigners(served(log), servers) == 0
            assert set(servers[0].statuses[1:]) == {409, 422}
        await log.close()


async def test_a_log_that_went_back_gets_no_cosignature(tmp_path: Path, servers: list[WitnessServer]) -> None:
    log = open_log(tmp_path / "log")
    await grow(log, 9)
    servers[0].seen[LOG.name] = (12, bytes(32))
    witnesses = Witnessing(log, clients(servers[:1]), SystemClock())
    assert not await witnesses.round() and witnesses.answers["refused"] == 1
    await log.close()


async def test_an_older_checkpoint_never_replaces_a_newer_one(tmp_path: Path, servers: list[WitnessServer]) -> None:
    log = open_log(tmp_path)
    await grow(log, 4)
    old, size = log.head
    line = await asyncio.to_thread(clients(servers)[0].cosign, old, size, log.consistency_proof)
    await grow(log, 4)
    newest = served(log)
    await log.cosign(old, line)
    assert served(log) == newest and served(log, "cosigned") == old + line
    assert log.prove(2).checkpoint == old + line, "a proof leads to what a witness has seen, if that holds the entry"
    assert log.prove(7).checkpoint == log.checkpoint
    other = Signer(LOG.name, KEY)
    await log.rotate(other)
    own, size = log.head
    await log.cosign(newest, line)  # the same tree, by the key before
    assert served(log) == own
    await log.close()


async def test_a_cosigned_receipt_is_verified_offline(
    tmp_path: Path, servers: list[WitnessServer], capsys: pytest.CaptureFixture[str]
) -> None:
    log = open_log(tmp_path / "log")
    ledger = Ledger(log, KEY)
    logged = await ledger.issue(Receipt("ab" * 16, 1_000, "expired", "overdue"))
    bare = await ledger.bundle(logged, wait=True)
    await Witnessing(log, clients(servers[:2]), SystemClock()).round()
    bundle = await ledger.bundle(logged, wait=True)
    vkeys = [server.verifier.vkey for server in servers]

    def check(data: bytes, witnesses: list[str], quorum: int) -> tuple[str, ...]:
        return verify_bundle(
            data, receipt_keys=[KEY.public_key()], log_vkey=LOG.verifier.vkey, witnesses=witnesses, quorum=quorum
        ).checks

    assert check(bundle, vkeys, 2)[-1] == "witness" and check(bundle, vkeys, 0)[-1] == "inclusion"
    for data, witnesses, quorum in ((bundle, vkeys, 3), (bundle, vkeys[1:], 1), (bare, vkeys, 1), (bundle, [], 0)):
        with pytest.raises(VerificationError):
            check(data, witnesses, quorum)
    for at in range(0, len(bundle), 11):
        with pytest.raises(VerificationError):
            check(bundle[:at] + bytes([bundle[at] ^ 1]) + bundle[at + 1 :], vkeys, 2)
    (tmp_path / "r").write_bytes(bundle)
    (tmp_path / "k").write_bytes(public_pem(KEY.public_key()))
    command = ["verify", str(tmp_path / "r"), "--key", str(tmp_path / "k"), "--log-key", LOG.verifier.vkey]
    asked = [argument for vkey in vkeys for argument in ("--witness", vkey)]
    assert await asyncio.to_thread(run, [*command, *asked]) == 0
    assert await asyncio.to_thread(run, [*command, *asked, "--witness-quorum", "3"]) == 7
    assert await asyncio.to_thread(run, [*command]) == 7
    await log.close()


async def test_an_audit_asks_for_a_quorum(tmp_path: Path, servers: list[WitnessServer]) -> None:
    log = open_log(tmp_path)
    await log.integrate()
    trust = Trust([LOG.verifier], witnesses=[server.verifier for server in servers], quorum=2)
    reader = DirectoryReader(log.public_directory)
    with pytest.raises(VerificationError, match="0 of the witnesses"):
        audit_logs([reader], trust)
    await grow(log, 3)
    await Witnessing(log, clients(servers[1:]), SystemClock()).round()
    await grow(log, 3)  # its newest checkpoint has no cosignature yet
    assert audit_logs([reader], trust).shards[0].checkpoint.size == 3
    assert audit_logs([reader], dataclasses.replace(trust, quorum=0)).shards[0].checkpoint.size == 6
    with pytest.raises(VerificationError, match="2 of the witnesses"):
        audit_logs([reader], dataclasses.replace(trust, quorum=3))
    await log.close()


# --- the client ---


def a_checkpoint(size: int = 1, signer: Signer = LOG) -> bytes:
    return sign_checkpoint(Checkpoint(signer.name, size, bytes(32)), signer)


@pytest.mark.parametrize("status", [400, 403, 404, 422, 429, 500, 503])
def test_each_status_is_either_away_or_refused(servers: list[WitnessServer], status: int) -> None:
    servers[0].failing = status
    reason = "WITNESS_AWAY" if status in (429, 500, 503) else "WITNESS_REFUSED"
    with pytest.raises(Unavailable, match=reason):
        clients(servers)[0].cosign(a_checkpoint(), 1, lambda old: [])


def test_an_unknown_log_or_key_is_refused(servers: list[WitnessServer]) -> None:
    for signer, status in ((Signer("mayfly.test/other", KEY), 404), (Signer(LOG.name, KEY), 403)):
        with pytest.raises(Unavailable, match="does not know"):
            clients(servers)[0].cosign(a_checkpoint(signer=signer), 1, lambda old: [])
        assert servers[0].statuses[-1] == status


def test_a_signature_that_is_not_this_witnesss_is_refused(servers: list[WitnessServer]) -> None:
    checkpoint = a_checkpoint()
    for answer in (
        servers[1].sign(checkpoint.decode().partition("\n\n")[0] + "\n"),
        servers[0].sign("another text\n"),
        b"",
        b"nonsense",
        b"\xff" * 100,
    ):
        servers[0].answer = lambda body, a=answer: (200, "text/plain", a)  # type: ignore[method-assign,misc]
        with pytest.raises(Unavailable, match="not its cosignature"):
            clients(servers)[0].cosign(checkpoint, 1, lambda old: [])
    for size in (b"", b"x\n", b"9" * 30):
        servers[0].answer = lambda body, a=size: (409, "text/x.tlog.size", a)  # type: ignore[method-assign,misc]
        with pytest.raises(Unavailable, match="malformed"):
            clients(servers)[0].cosign(checkpoint, 1, lambda old: [])


def test_the_list_of_witnesses_is_read_or_refused_in_one_line(tmp_path: Path, servers: list[WitnessServer]) -> None:
    path, good = tmp_path / "witnesses", f"{servers[0].verifier.vkey} {servers[0].url}"
    path.write_text(f"# ours\n\n{good}  # the first\n")
    assert [witness.verifier.vkey for witness in read_witnesses(path)] == [servers[0].verifier.vkey]
    assert read_witnesses(None) == []
    for bad in (
        good + " more",
        servers[0].verifier.vkey,
        f"{LOG.verifier.vkey} http://a/",
        good.replace("http", "ftp"),
    ):
        path.write_text(f"{good}\n{bad}\n")
        with pytest.raises(ConfigError, match="line 2") as refused:
            read_witnesses(path)
        assert "\n" not in str(refused.value)
    with pytest.raises(ConfigError, match="can't be read"):
        read_witnesses(tmp_path / "none")
