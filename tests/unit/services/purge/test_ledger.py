"""The ledger's account of the log: batches, receipts of the last hour, and a start that need not read everything."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from mesh.errors import ConfigError, Unavailable
from mesh.testing.valkey import ValkeyServer
from mesh.testing.wait import eventually
from mesh.transparency.bundle import Bundle
from mesh.transparency.canonical import from_json
from services.purge import ledger as module
from services.purge.ledger import History, Ledger
from services.purge.log import Log
from services.purge.log_store import OsFs
from services.purge.receipt import Grant, LoggedReceipt, Receipt, open_receipt, parse_entry
from services.purge.tally import Ended, Granted, Recent, read_fact
from tests.unit.services.purge.desk import Holder, desk
from tests.unit.services.purge.test_log import ORIGIN, SIGNER, StandingClock
from tests.unit.services.purge.test_log_faults import FailingFs

KEY = Ed25519PrivateKey.from_private_bytes(b"r" * 32)


def receipt(photo_id: str, ended: int = 1_000) -> Receipt:
    return Receipt(photo_id=photo_id, ended_time=ended, outcome="expired", reason="overdue")


def open_ledger(directory: Path, fs: OsFs | None = None) -> Ledger:
    log = Log.open(directory, origin=ORIGIN, signer=SIGNER, clock=StandingClock(), fs=fs)
    return Ledger(log, KEY, StandingClock())


async def some_work(ledger: Ledger, grants: int, ends: int) -> list[str]:
    """Returns those that were ended."""
    photo_ids = [secrets.token_hex(16) for _ in range(grants)]
    for number, photo_id in enumerate(photo_ids):
        await ledger.admit(photo_id, 2_000 + number)
    await ledger.issue_many([receipt(photo_id) for photo_id in photo_ids[:ends]])
    return photo_ids[:ends]


def start(directory: Path) -> tuple[History, Ledger]:
    ledger = open_ledger(directory)
    return ledger.history(), ledger


async def afresh(directory: Path) -> History:
    """What the log itself says, without a snapshot."""
    (directory / "open").unlink(missing_ok=True)
    history, ledger = start(directory)
    ledger.log.accountant = None  # and without writing one
    await ledger.log.close()
    return history


def said(history: History) -> object:
    return dict(history.open), history.totals


async def test_a_batch_is_contiguous_and_its_receipts_are_the_ones_asked_for(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path / "log")
    photo_ids = [f"{i:032x}" for i in range(3000)]
    _, batch = await asyncio.gather(
        asyncio.gather(*(ledger.admit(photo_id, 50) for photo_id in photo_ids[:20])),
        ledger.issue_many([receipt(photo_id) for photo_id in photo_ids]),
    )
    assert [logged.index for logged in batch] == list(range(batch[0].index, batch[0].index + 3000))
    assert [logged.receipt.photo_id for logged in batch] == photo_ids
    for logged in (batch[0], batch[-1]):
        assert ledger.log.entry(logged.index) == LoggedReceipt(logged.envelope).to_entry()
        assert open_receipt(logged.envelope, {logged.envelope.keyid: KEY.public_key()}) == logged.receipt
    assert ledger.log.size == 3020 and ledger.totals == (20, {("expired", "overdue"): 3000})
    await ledger.log.close()


async def test_a_batch_pays_one_sync(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path / "log")
    commits: list[float] = []
    ledger.log.sync_seconds.append(commits.append)
    await ledger.issue_many([receipt(f"{i:032x}") for i in range(5000)])
    assert len(commits) == 1
    assert await ledger.issue_many([]) == []
    await ledger.log.close()


async def test_a_batch_on_a_failing_disk_acknowledges_nothing(tmp_path: Path) -> None:
    fs = FailingFs(tmp_path)
    ledger = open_ledger(tmp_path / "log", fs)
    fs._fail_at = len(fs.operations)
    with pytest.raises(Unavailable, match="LOG_DISK"):
        await ledger.issue_many([receipt(f"{i:032x}") for i in range(10)])
    assert ledger.totals == (0, {})
    await ledger.log.close()


def test_facts_are_read_from_entries_as_the_strict_reader_reads_them() -> None:
    grant = Grant("ab" * 16, 1_767_225_605)
    assert read_fact(grant.to_entry()) == Granted("ab" * 16, 1_767_225_605)
    ended = receipt("cd" * 16, 1_767_225_606)
    assert parse_entry(grant.to_entry()) == grant
    assert from_json(grant.to_entry(), "entry")  # canonical, although not spelled by to_json
    entry = LoggedReceipt(module.sign_receipt(ended, KEY)).to_entry()
    assert read_fact(entry) == Ended("cd" * 16, "expired", "overdue", 1_767_225_606)
    with pytest.raises(module.VerificationError):
        read_fact(b"{}")


async def test_a_restart_reads_only_what_came_after_the_snapshot(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path / "log")
    ended = await some_work(ledger, 40, 25)
    await ledger.log.close()
    assert (tmp_path / "log" / "open").exists()
    history, ledger = start(tmp_path / "log")
    assert history.replayed == 0 and len(history.open) == 15
    assert history.totals == (40, {("expired", "overdue"): 25})
    found = ledger.find(ended[3])
    assert found is not None and found.receipt.photo_id == ended[3]
    assert Bundle.from_json(await ledger.bundle(found, wait=False)).log is not None
    ended += await some_work(ledger, 7, 7)
    ledger.log.accountant = None  # as if killed: no snapshot covers these
    await ledger.log.close()
    history, ledger = start(tmp_path / "log")
    assert history.replayed == 14 and history.totals.granted == 47
    assert all(ledger.find(photo_id) is not None for photo_id in ended)
    await ledger.log.close()
    assert said(history) == said(await afresh(tmp_path / "log"))


async def test_a_snapshot_is_due_after_so_many_entries_and_keeps_up_in_the_background(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_SNAPSHOT_ENTRIES", 10)
    ledger = open_ledger(tmp_path / "log")
    await some_work(ledger, 6, 3)
    await ledger.log.integrate()
    assert not (tmp_path / "log" / "open").exists()
    await some_work(ledger, 6, 3)
    await ledger.log.integrate()
    await eventually((tmp_path / "log" / "open").exists)
    ledger.log.accountant = None
    await ledger.log.close()
    history, ledger = start(tmp_path / "log")
    assert history.replayed == 0 and len(history.open) == 6
    await ledger.log.close()


async def test_a_snapshot_that_is_not_this_logs_is_refused(tmp_path: Path) -> None:
    for name in ("one", "other"):
        ledger = open_ledger(tmp_path / name)
        await some_work(ledger, 12, 5)
        await ledger.log.close()
    truth = said(await afresh(tmp_path / "one"))
    (tmp_path / "one" / "open").write_bytes((tmp_path / "other" / "open").read_bytes())
    history, ledger = start(tmp_path / "one")
    assert history.replayed == 17 and said(history) == truth
    await ledger.log.close()


async def test_a_snapshot_that_is_ahead_of_a_restored_log_is_refused(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path / "log")
    await some_work(ledger, 3, 1)
    await ledger.log.close()
    restored = open_ledger(tmp_path / "restored")
    for index in range(3):
        await restored.log.append(ledger.log.entry(index))
    await restored.log.close()
    (tmp_path / "restored" / "open").write_bytes((tmp_path / "log" / "open").read_bytes())
    history, again = start(tmp_path / "restored")
    assert history.replayed == 3 and len(history.open) == 3
    await again.log.close()


async def test_any_damage_to_a_snapshot_only_makes_the_start_slow(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path / "log")
    await some_work(ledger, 12, 5)
    await ledger.log.close()
    good = (tmp_path / "log" / "open").read_bytes()
    truth = said(await afresh(tmp_path / "log"))
    ledger = open_ledger(tmp_path / "log")
    for at in range(0, len(good), 7):
        bad = bytearray(good)
        bad[at] ^= 1 << at % 8
        for data in (bytes(bad), good[:at]):
            (tmp_path / "log" / "open").write_bytes(data)
            history = ledger.history()
            assert history.replayed == 17 and said(history) == truth
    (tmp_path / "log" / "open").write_bytes(good)
    assert ledger.history().replayed == 0
    await ledger.log.close()


async def test_entries_before_the_account_began_leave_no_false_snapshot(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path / "log")
    await some_work(ledger, 3, 1)
    await ledger.log.close()
    (tmp_path / "log" / "open").unlink()
    ledger = open_ledger(tmp_path / "log")
    await some_work(ledger, 2, 1)  # without history()
    await ledger.log.close()
    assert not (tmp_path / "log" / "open").exists()
    ledger = open_ledger(tmp_path / "log")
    ledger.history()
    await ledger.log.append(Grant("ab" * 16, 50).to_entry())
    ledger.log.accountant = None
    await ledger.log.append(Grant("cd" * 16, 50).to_entry())
    ledger.log.accountant = ledger
    await ledger.log.append(Grant("ef" * 16, 50).to_entry())
    assert ledger.totals == (0, {}) and ledger.find("ab" * 16) is None, "no account is better than a wrong one"
    await ledger.log.close()
    assert not (tmp_path / "log" / "open").exists()


def test_the_hour_is_kept_and_no_more() -> None:
    recent = Recent()
    for number in range(100):
        recent.add(f"{number:016x}" + "0" * 16, number, number * 100)
    assert recent.get(f"{99:016x}" + "0" * 16) == 99
    assert recent.get(f"{65:016x}" + "0" * 16) == 65, "3,400 seconds ago"
    assert recent.get(f"{10:016x}" + "0" * 16) is None
    for number in range(300_000):
        recent.add(f"{number:016x}" + "1" * 16, number, 9_900)
    assert sum(len(receipts) for _, receipts in recent.generations) <= 1 << 18
    assert recent.get(f"{299_999:016x}" + "1" * 16) == 299_999


async def test_a_receipt_is_not_mistaken_for_another_with_the_same_first_half(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path / "log")
    await ledger.issue(receipt("ab" * 16))
    assert ledger.find("ab" * 16) is not None
    assert ledger.find("ab" * 8 + "cd" * 8) is None and ledger.find("cd" * 16) is None
    await ledger.log.close()


def test_a_fault_at_every_step_leaves_a_snapshot_that_is_right_or_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_SNAPSHOT_ENTRIES", 4)

    async def work(directory: Path, fs: FailingFs) -> None:
        try:
            ledger = open_ledger(directory, fs)
        except ConfigError:
            return
        ledger.history()
        with contextlib.suppress(Unavailable):
            for _ in range(3):
                await some_work(ledger, 3, 2)
                await ledger.log.integrate()
                if ledger.log._snapping is not None:
                    await ledger.log._snapping
        await ledger.log.close()

    (tmp_path / "dry").mkdir()
    dry = FailingFs(tmp_path / "dry")
    asyncio.run(work(tmp_path / "dry" / "log", dry))
    assert dry.operations.count("rename") > 12 and (tmp_path / "dry" / "log" / "open").exists()
    for number in range(len(dry.operations)):
        for kind in ("kill", "power"):
            root = tmp_path / f"{number}.{kind}"
            root.mkdir()
            fs = FailingFs(root, number)
            asyncio.run(work(root / "log", fs))
            if kind == "power":
                root = tmp_path / f"{number}.after"
                fs.materialise(root, None)
            if (root / "log").is_dir():
                ledger = open_ledger(root / "log", FailingFs(root))
                with_snapshot = ledger.history()
                (root / "log" / "open").unlink(missing_ok=True)
                assert said(with_snapshot) == said(ledger.history()), (number, kind)
                asyncio.run(ledger.log.close())


async def test_counters_go_on_after_a_restart(valkey: ValkeyServer, tmp_path: Path) -> None:
    async with desk(valkey.url, tmp_path / "log") as purge:
        ended, live = await purge.grant(), await purge.grant()
        holder = await Holder(purge.core).connect()
        await holder.hold(ended.photo_id)
        await holder.release(ended.photo_id)
        await purge.core.endings.settle(ended.photo_id, [holder.name], "delivered")
    async with desk(valkey.url, tmp_path / "log") as purge:
        assert purge.metric("mayfly_log_open_grants") == 1
        assert purge.metric("mayfly_leases_granted_total") == 2
        assert purge.metric("mayfly_leases_ended_total", outcome="settled", reason="delivered") == 1
        assert purge.metric("mayfly_receipts_total", outcome="settled") == 1
        assert purge.core.book.get(live.photo_id) is not None
        again = purge.core.ledger.find(ended.photo_id)
        assert again is not None and again.receipt.outcome == "settled"
