"""`mayfly audit-log` over real logs of two replicas, from folders and over HTTP."""

from __future__ import annotations

import asyncio
import json
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from prometheus_client import CollectorRegistry

from clients import verify
from clients.audit import Trust, audit_logs
from clients.cli.main import run
from clients.verify import OVERDUE_AFTER
from mesh.clock import SystemClock
from mesh.health import Health
from mesh.ops import OpsServer
from mesh.transparency.key_list import KeyList
from mesh.transparency.note import Signer
from mesh.transparency.tiles import DirectoryReader
from services.purge.log import Log
from services.purge.public_files import LogFiles
from services.purge.receipt import Grant, LoggedReceipt, Receipt, sign_receipt
from services.purge.signing import public_pem

KEYS = [Ed25519PrivateKey.from_private_bytes(letter * 32) for letter in (b"a", b"b")]
LOGS = [Signer(f"mayfly.test/{n}", Ed25519PrivateKey.from_private_bytes(b"%d" % n * 32)) for n in (0, 1)]
NOW = int(time.time())  # of the import: by the time that a test runs, minutes may have passed


def grant(number: int, expire: int = NOW + 86_400) -> bytes:
    return Grant(f"{number:032x}", expire).to_entry()


def receipt(number: int, replica: int = 0, ended: int = NOW) -> bytes:
    made = Receipt(f"{number:032x}", ended, "settled", "delivered")
    return LoggedReceipt(sign_receipt(made, KEYS[replica])).to_entry()


async def append(directory: Path, replica: int, entries: list[bytes]) -> None:
    log = Log.open(directory, origin=LOGS[replica].name, signer=LOGS[replica], clock=SystemClock())
    await log.append_many(entries)
    await log.close()


@dataclass
class Mesh:
    """Two shards: what one grants, the other may end."""

    folder: Path

    def log(self, replica: int) -> Path:
        return self.folder / str(replica)

    def add(self, replica: int, *entries: bytes) -> None:
        asyncio.run(append(self.log(replica), replica, list(entries)))

    def keys(self) -> list[str]:
        arguments = []
        for replica in (0, 1):
            listed = KeyList(LOGS[replica].name).signing(
                KEYS[replica].public_key(), LOGS[replica].key.public_key(), NOW - 1000
            )
            path = self.folder / f"{replica}.json"
            path.write_bytes(listed.to_json())
            arguments += ["--key", str(path)]
        return arguments

    def audit(self, *arguments: str) -> int:
        return run(["audit-log", str(self.log(0)), str(self.log(1)), *self.keys(), *arguments])


@pytest.fixture(scope="module")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = Mesh(tmp_path_factory.mktemp("logs"))
    made.add(0, *[grant(i) for i in range(600)], *[receipt(i) for i in range(300)])
    made.add(1, *[receipt(i, 1) for i in range(300, 598)], grant(1000), receipt(1000, 1))
    return made.folder


@pytest.fixture
def mesh(made_once: Path, tmp_path: Path) -> Mesh:
    shutil.copytree(made_once, tmp_path / "mesh")
    return Mesh(tmp_path / "mesh")


def test_shards_add_up_together_and_not_alone(mesh: Mesh, capsys: pytest.CaptureFixture[str]) -> None:
    assert mesh.audit("--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["verified"], said["granted"], said["settled"], len(said["open"])) == (True, 601, 599, 2)
    assert [(log["origin"], log["size"]) for log in said["logs"]] == [("mayfly.test/0", 900), ("mayfly.test/1", 300)]
    assert mesh.audit() == 0
    assert "601 leases = 599 settled + 0 revoked + 0 expired + 2 open" in capsys.readouterr().out
    assert run(["audit-log", str(mesh.log(1)), *mesh.keys()]) == 7
    assert "ended 1 times more" in capsys.readouterr().err


def test_a_kept_checkpoint_notices_a_log_that_went_back(mesh: Mesh, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(mesh.log(1), mesh.folder / "older")
    kept = mesh.folder / "kept.json"
    assert mesh.audit("--checkpoint", str(kept)) == 0
    first = json.loads(kept.read_text())
    mesh.add(1, receipt(598, 1))
    assert mesh.audit("--checkpoint", str(kept)) == 0
    second = json.loads(kept.read_text())
    assert first.keys() == second.keys() and first["mayfly.test/0"] == second["mayfly.test/0"]
    assert first["mayfly.test/1"] != second["mayfly.test/1"]
    shutil.rmtree(mesh.log(1))
    (mesh.folder / "older").rename(mesh.log(1))
    assert mesh.audit("--checkpoint", str(kept)) == 7
    assert "larger" in capsys.readouterr().err
    mesh.add(1, receipt(599, 1))  # and on, elsewhere
    assert mesh.audit("--checkpoint", str(kept), "--json") == 7
    assert json.loads(capsys.readouterr().out)["error"]["check"] == "consistency"
    assert json.loads(kept.read_text()) == second, "what was kept stays"


def test_an_open_lease_past_its_end_is_a_problem(mesh: Mesh, capsys: pytest.CaptureFixture[str]) -> None:
    mesh.add(0, grant(2001, NOW - 3600))
    assert mesh.audit("--json") == 7
    assert f"{2001:032x} is past its end" in json.loads(capsys.readouterr().out)["error"]["message"]


def test_a_lease_may_be_ending_for_a_minute(tmp_path: Path) -> None:
    """With a clock of its own: the suite may take as long as it likes to get here."""
    mesh = Mesh(tmp_path)
    mesh.add(0, grant(1, NOW))

    def problems(now: float) -> list[str]:
        reader = DirectoryReader(mesh.log(0) / "public")
        return list(audit_logs([reader], Trust([LOGS[0].verifier]), now=now).recount.problems)

    assert problems(NOW + OVERDUE_AFTER) == []
    assert len(problems(NOW + OVERDUE_AFTER + 1)) == 1


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        (receipt(599, 1, NOW - 5000), "not in use"),
        (receipt(0), "ended 1 times more"),
        (b"{}", "entry 900"),
        (LoggedReceipt(sign_receipt(Receipt("f" * 32, 5, "settled", "delivered"), LOGS[0].key)).to_entry(), "key id"),  # type: ignore[arg-type]
    ],
)
def test_what_does_not_add_up(mesh: Mesh, entry: bytes, sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    mesh.add(0, entry)
    assert mesh.audit() == 7
    assert sentence in capsys.readouterr().err


def test_a_changed_byte_in_any_file_is_noticed(mesh: Mesh) -> None:
    paths = [path for path in mesh.log(0).rglob("public/**/*") if path.is_file() and "entries" in str(path)]
    for path in [*paths, mesh.log(0) / "public" / "checkpoint"]:
        good = path.read_bytes()
        bad = bytearray(good)
        bad[len(bad) // 2] ^= 1
        path.write_bytes(bytes(bad))
        assert mesh.audit() == 7
        path.unlink()
        assert mesh.audit() == 7
        path.write_bytes(good)
    assert mesh.audit() == 0


@pytest.fixture
def url(mesh: Mesh) -> Iterator[str]:
    ops = OpsServer("127.0.0.1:0", CollectorRegistry(), Health())
    for replica in (0, 1):
        ops.mount(f"/log{replica}/", LogFiles(f"/log{replica}/", mesh.log(replica) / "public"))
    asyncio.run(ops.start())
    yield f"http://{ops.address}/log"
    asyncio.run(ops.stop())


def test_over_http_it_is_the_same(mesh: Mesh, url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["audit-log", f"{url}0", f"{url}1/", *mesh.keys(), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["granted"] == 601


def test_wrong_use_and_a_server_that_is_away(mesh: Mesh, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["audit-log", "http://127.0.0.1:1/", *mesh.keys()]) == 5
    assert run(["audit-log", str(mesh.folder / "none"), *mesh.keys()]) == 3
    assert run(["audit-log", str(mesh.log(0)), "--state", str(mesh.folder / "no")]) == 3
    assert run(["audit-log", str(mesh.log(0)), str(mesh.log(0)), *mesh.keys()]) == 7
    assert run(["audit-log", str(mesh.log(0)), *mesh.keys(), "--witness-quorum", "1"]) == 3
    (mesh.folder / "kept").write_text("[]")
    assert mesh.audit("--checkpoint", str(mesh.folder / "kept")) == 3
    assert capsys.readouterr().err.count("\n") == 6


def test_memory_is_bounded_by_what_is_open_at_one_time(tmp_path: Path) -> None:
    """One replica grants all, the other ends all: read one after the other, all would be open in between."""
    mesh = Mesh(tmp_path)
    times = range(NOW - 100_000, NOW - 100_000 + 2000 * 40, 40)
    mesh.add(0, *[grant(n, t + 300) for n, t in enumerate(times)])
    mesh.add(1, *[receipt(n, 1, t + 20) for n, t in enumerate(times)])
    most = 0
    moved = verify.Tally._move

    def watch(self: verify.Tally, photo_id: str, by: int) -> None:
        nonlocal most
        moved(self, photo_id, by)
        most = max(most, len(self._balance))

    verify.Tally._move = watch  # type: ignore[method-assign]
    try:
        assert run(["audit-log", str(mesh.log(0)), str(mesh.log(1)), "--key", "x", "--log-key", "x"]) == 3
        arguments = [a for s in LOGS for a in ("--log-key", s.verifier.vkey)]
        key = tmp_path / "key.pem"
        key.write_bytes(public_pem(KEYS[1].public_key()))
        assert run(["audit-log", str(mesh.log(0)), str(mesh.log(1)), "--key", str(key), *arguments]) == 0
    finally:
        verify.Tally._move = moved  # type: ignore[method-assign]
    assert most <= 3 * 256
