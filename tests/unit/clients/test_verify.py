"""A receipt file is accepted as it was written, and refused after any one byte of it was changed."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from clients.verify import Verified, verify_bundle
from mesh.clock import SystemClock
from mesh.transparency.bundle import Bundle, LogProof
from mesh.transparency.checkpoint import Checkpoint, sign_checkpoint
from mesh.transparency.errors import VerificationError
from mesh.transparency.merkle import leaf_hash
from mesh.transparency.note import Signer
from services.purge.log import Log
from services.purge.receipt import Custody, Grant, LoggedReceipt, Receipt, commitment, sign_receipt

KEY = Ed25519PrivateKey.from_private_bytes(b"r" * 32)
LOG = Signer("mayfly.test/log", Ed25519PrivateKey.from_private_bytes(b"l" * 32))
NONCE = b"the client's nonce"
RECEIPT = Receipt(
    photo_id="0123456789abcdef0123456789abcdef",
    nonce_commitment=commitment(NONCE),
    admitted_time=1_767_225_600,
    ended_time=1_767_225_605,
    outcome="settled",
    reason="delivered",
    custody=tuple(Custody(holder, "released", 1.25) for holder in ("gateway", "ingest", "render")),
    residency_seconds=4.9,
    lockdown={"render": ("landlock", "no-core-dump", "no-swap")},
    policy_version="2026-01",
    processors=("mayfly/onnx",),
)
ENVELOPE = sign_receipt(RECEIPT, KEY)


@dataclass
class Files:
    bare: bytes
    logged: bytes


async def _write_log(directory: Path) -> LogProof:
    log = Log.open(directory, origin=LOG.name, signer=LOG, clock=SystemClock())
    for i in range(5):
        await log.append(Grant(f"{i:032x}", 1_767_225_600).to_entry())
    index = await log.append(LoggedReceipt(ENVELOPE).to_entry())
    await log.append(Grant("f" * 32, 1_767_225_600).to_entry())
    await log.close()
    proof = log.prove(index)
    return LogProof(proof.index, proof.hashes, proof.checkpoint)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    proof = asyncio.run(_write_log(tmp_path_factory.mktemp("log")))
    return Files(Bundle(ENVELOPE).to_json(), Bundle(ENVELOPE, proof).to_json())


def verify(data: bytes, nonce: bytes | None = NONCE, log_vkey: str | None = LOG.verifier.vkey) -> Verified:
    return verify_bundle(data, receipt_keys=[KEY.public_key()], log_vkey=log_vkey, nonce=nonce)


def refused(data: bytes) -> bool:
    try:
        verify(data, nonce=None)
    except VerificationError:
        return True
    return False


def test_a_logged_receipt_passes_all_checks(files: Files) -> None:
    verified = verify(files.logged)
    assert verified.receipt == RECEIPT and verified.logged and verified.index == 5
    assert verified.checks == ("format", "signature", "nonce", "checkpoint", "inclusion")
    assert verified.checkpoint is not None and verified.checkpoint.size == 7


def test_a_receipt_that_is_not_logged_yet_says_so(files: Files) -> None:
    verified = verify(files.bare, nonce=None, log_vkey=None)
    assert (verified.receipt, verified.logged, verified.checks) == (RECEIPT, False, ("format", "signature"))


@pytest.mark.parametrize("which", ["bare", "logged"])
def test_any_one_byte_changed_is_refused(files: Files, which: str) -> None:
    data = getattr(files, which)
    assert not refused(data)
    for at, byte in enumerate(data):
        likely = {byte ^ 1, byte ^ 0x20, ord("A"), ord("="), ord(" "), ord('"'), ord("0"), ord("\n")} - {byte}
        for value in likely:
            assert refused(data[:at] + bytes([value]) + data[at + 1 :]), (at, value)


@pytest.mark.parametrize("which", ["bare", "logged"])
def test_any_one_bit_flipped_is_refused(files: Files, which: str) -> None:
    data = getattr(files, which)
    for bit in range(len(data) * 8):
        at = bit // 8
        assert refused(data[:at] + bytes([data[at] ^ (1 << bit % 8)]) + data[at + 1 :]), bit


@pytest.mark.parametrize("which", ["bare", "logged"])
def test_any_one_byte_added_or_removed_is_refused(files: Files, which: str) -> None:
    data = getattr(files, which)
    for at in range(len(data)):
        assert refused(data[:at] + data[at + 1 :]), at
        for extra in (b" ", b"\n", b"0", b"A", b"=", b"\\"):
            assert refused(data[:at] + extra + data[at:]), (at, extra)
    for extra in (b" ", b"\n", b"\0", b"}", b"x"):
        assert refused(data + extra), extra


@settings(deadline=None, max_examples=300)
@given(data=st.data())
def test_any_edit_is_refused(files: Files, data: st.DataObject) -> None:
    original = data.draw(st.sampled_from([files.bare, files.logged]))
    begin = data.draw(st.integers(0, len(original)))
    end = data.draw(st.integers(begin, len(original)))
    piece = data.draw(
        st.binary(max_size=20) | st.sampled_from([b"{}", b"null", b"[]", b"1e999", b'"\\ud800"', b"[" * 9999])
    )
    edited = original[:begin] + piece + original[end:]
    assert edited in (files.bare, files.logged) or refused(edited)


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_nothing_but_a_verification_error_comes_out(data: bytes) -> None:
    assert refused(data)


def test_bytes_beyond_any_receipt_are_refused(files: Files) -> None:
    assert refused(b" " * (1 << 20) + files.bare)


def check_of(data: bytes, **options: object) -> str:
    with pytest.raises(VerificationError) as error:
        verify(data, **options)  # type: ignore[arg-type]
    assert error.value.sentence
    return error.value.check


def test_which_check_refused_is_said(files: Files) -> None:
    value = json.loads(files.logged)
    assert check_of(b"{}") == "format"
    assert check_of(files.logged, nonce=b"another") == "nonce"
    assert check_of(_edited(value, index=4)) == "inclusion"
    assert check_of(_edited(value, index=-1)) == "inclusion"
    assert check_of(_edited(value, index=10**30)) == "inclusion"
    assert check_of(_edited(value, index=True)) == "format"
    assert check_of(_edited(value, index=5.0)) == "format"
    assert check_of(_edited(value, inclusion_proof=value["inclusion_proof"][::-1])) == "inclusion"
    assert check_of(_edited(value, inclusion_proof=[])) == "inclusion"
    assert check_of(_edited(value, inclusion_proof=["AA=="])) == "inclusion"
    assert check_of(_edited(value, checkpoint="")) == "note"
    assert check_of(_edited(value, checkpoint=None)) == "format"
    stranger = sign_receipt(RECEIPT, Ed25519PrivateKey.from_private_bytes(b"s" * 32))
    assert check_of(Bundle(stranger).to_json()) == "signature"


def _edited(value: dict[str, object], **changes: object) -> bytes:
    return json.dumps({**value, **changes}, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def test_a_proof_that_nobody_can_check_is_refused(files: Files) -> None:
    assert check_of(files.logged, log_vkey=None) == "checkpoint"
    assert check_of(files.logged, log_vkey="nonsense") == "key"


def test_a_signature_that_nobody_checks_is_refused(files: Files) -> None:
    value = json.loads(files.logged)
    cosigned = value["checkpoint"] + "— witness.example AAAAAAA=\n"
    assert check_of(_edited(value, checkpoint=cosigned)) == "checkpoint"


def test_another_logs_checkpoint_is_refused() -> None:
    leaf = leaf_hash(LoggedReceipt(ENVELOPE).to_entry())
    proof = LogProof(0, (), sign_checkpoint(Checkpoint("another/log", 1, leaf), LOG))
    assert check_of(Bundle(ENVELOPE, proof).to_json()) == "checkpoint"
    proof = LogProof(0, (), sign_checkpoint(Checkpoint(LOG.name, 1, leaf), LOG))
    assert verify(Bundle(ENVELOPE, proof).to_json()).logged


def test_a_proof_of_another_receipt_does_not_carry_over(files: Files) -> None:
    other = json.loads(Bundle(sign_receipt(Receipt("e" * 32, 5, "expired", "overdue"), KEY)).to_json())
    assert check_of(_edited(json.loads(files.logged), envelope=other["envelope"]), nonce=None) == "inclusion"
