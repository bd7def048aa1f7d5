"""Which leases ended in another replica's log, without reading all of it and without believing it."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from mesh.clock import SystemClock
from mesh.transparency.dsse import keyring
from mesh.transparency.errors import VerificationError
from mesh.transparency.note import Signer
from mesh.transparency.tiles import DirectoryReader, Reader, decode_bundle, encode_bundle, entries_path
from services.purge.log import Log
from services.purge.lookup import LATE, ended_in
from services.purge.receipt import Grant, LoggedReceipt, Receipt, sign_receipt

KEY = Ed25519PrivateKey.from_private_bytes(b"r" * 32)
LOG = Signer("mayfly.test/other", Ed25519PrivateKey.from_private_bytes(b"l" * 32))
COUNT = 700  # grants, each followed by its receipt a second later


def photo(number: int) -> str:
    return f"{number:032x}"


def receipt(number: int, key: Ed25519PrivateKey = KEY) -> bytes:
    return LoggedReceipt(sign_receipt(Receipt(photo(number), 10_000 + number, "expired", "overdue"), key)).to_entry()


async def write(directory: Path) -> None:
    log = Log.open(directory, origin=LOG.name, signer=LOG, clock=SystemClock())
    for number in range(COUNT):
        await log.append_many([Grant(photo(number), 10_000 + number).to_entry(), receipt(number)])
    await log.close()


@pytest.fixture(scope="module")
def public(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("log")
    asyncio.run(write(directory))
    return directory / "public"


class Counting(DirectoryReader):
    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.paths: list[str] = []

    def read(self, path: str) -> bytes:
        self.paths.append(path)
        return super().read(path)

    @property
    def bundles(self) -> int:
        return len({path for path in self.paths if "entries" in path})


def look(reader: Reader, numbers: list[int], since: float = 0.0, **options: object) -> dict[str, int]:
    found = ended_in(reader, [LOG.verifier], [photo(n) for n in numbers], since, **options)  # type: ignore[arg-type]
    return {photo_id: logged.index for photo_id, logged in found.items()}


def test_receipts_are_found_wherever_they_are(public: Path) -> None:
    reader = Counting(public)
    assert look(reader, [0, 300, 699, 4711]) == {photo(0): 1, photo(300): 601, photo(699): 1399}
    assert reader.bundles == 6


def test_it_reads_no_further_than_it_must(public: Path) -> None:
    reader = Counting(public)
    assert look(reader, [650]) == {photo(650): 1301} and reader.bundles == 1
    reader = Counting(public)
    assert look(reader, [0], since=10_000 + 600 + LATE) == {}
    assert reader.bundles <= 3
    assert look(public_reader := Counting(public), []) == {} and public_reader.bundles <= 1


def test_a_receipt_by_another_key_does_not_count(public: Path) -> None:
    reader = DirectoryReader(public)
    assert look(reader, [5], receipt_keys=keyring([KEY.public_key()])) == {photo(5): 11}
    assert look(reader, [5], receipt_keys=keyring([LOG.key.public_key()])) == {}


@pytest.mark.parametrize("bundle", [0, 2, 5])
def test_entries_that_are_not_under_the_checkpoint_are_refused(public: Path, tmp_path: Path, bundle: int) -> None:
    shutil.copytree(public, tmp_path / "p")
    width = 256 if bundle < 5 else COUNT * 2 - 5 * 256
    path = tmp_path / "p" / entries_path(bundle, width)
    entries = decode_bundle(path.read_bytes())
    for place in (0, 1, 100, -1):
        changed = list(entries)
        changed[place] = receipt(9_999)
        path.write_bytes(encode_bundle(changed))
        with pytest.raises(VerificationError, match="root"):
            look(DirectoryReader(tmp_path / "p"), [9_999, 1_000_000])


def test_a_checkpoint_by_another_key_is_refused(public: Path) -> None:
    with pytest.raises(VerificationError):
        ended_in(DirectoryReader(public), [Signer(LOG.name, KEY).verifier], [photo(1)], 0)


def test_an_empty_log_has_nothing(tmp_path: Path) -> None:
    asyncio.run(Log.open(tmp_path, origin=LOG.name, signer=LOG, clock=SystemClock()).close())
    assert look(DirectoryReader(tmp_path / "public"), [1]) == {}
