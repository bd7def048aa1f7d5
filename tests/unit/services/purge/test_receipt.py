"""What a receipt may say, and that nothing else can be put into one or read out of one."""

from __future__ import annotations

import json

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh.transparency import dsse
from mesh.transparency.errors import VerificationError
from services.purge.receipt import (
    HOLDERS,
    OUTCOMES,
    PAYLOAD_TYPE,
    REASONS,
    SETTLING,
    STATES,
    Custody,
    Grant,
    LoggedReceipt,
    Receipt,
    commitment,
    format_time,
    open_receipt,
    parse_entry,
    sign_receipt,
)

KEY = Ed25519PrivateKey.from_private_bytes(b"r" * 32)
KEYS = dsse.keyring([KEY.public_key()])
RECEIPT = Receipt(
    photo_id="0123456789abcdef0123456789abcdef",
    nonce_commitment=commitment(b"nonce"),
    admitted_time=1_767_225_600,
    ended_time=1_767_225_605,
    outcome="settled",
    reason="delivered",
    custody=(Custody("gateway", "released", 4.2504), Custody("render", "lost", 3)),
    residency_seconds=4.9,
    lockdown={"render": ("no-swap", "landlock", "no-core-dump"), "ingest": ()},
    policy_version="2026-01",
    processors=("mayfly/onnx",),
)

times = st.integers(0, 4_000_000_000)
seconds = st.floats(0, 1e6)
hexes = st.text("0123456789abcdef", min_size=32, max_size=32)


@st.composite
def receipts(draw: st.DrawFn) -> Receipt:
    reason = draw(st.sampled_from(sorted(REASONS)))
    outcome = "settled" if reason in SETTLING else draw(st.sampled_from(sorted(OUTCOMES - {"settled"})))
    custodies = st.builds(Custody, st.sampled_from(sorted(HOLDERS)), st.sampled_from(sorted(STATES)), seconds)
    controls = st.lists(st.sampled_from(["landlock", "no-swap", "seccomp"])).map(tuple)
    return Receipt(
        photo_id=draw(hexes),
        nonce_commitment=draw(st.just("") | st.binary().map(commitment)),
        admitted_time=draw(st.none() | times),
        ended_time=draw(times),
        outcome=outcome,
        reason=reason,
        custody=tuple(draw(st.lists(custodies, max_size=5))),
        residency_seconds=draw(st.none() | seconds),
        lockdown=draw(st.dictionaries(st.sampled_from(sorted(HOLDERS)), controls)),
        policy_version=draw(st.from_regex(r"[A-Za-z0-9._-]{0,64}", fullmatch=True)),
        processors=tuple(draw(st.lists(st.sampled_from(["mayfly/onnx", "triton@pool-1"])))),
    )


def test_the_one_spelling() -> None:
    assert RECEIPT.to_json() == (
        b'{"admitted_time":"2026-01-01T00:00:00Z","custody":[{"holder":"gateway","seconds":4.25,"state":"released"},'
        b'{"holder":"render","seconds":3,"state":"lost"}],"ended_time":"2026-01-01T00:00:05Z",'
        b'"lockdown":{"ingest":[],"render":["landlock","no-core-dump","no-swap"]},'
        b'"nonce_commitment":"15d6822f198332f95995faa3b372d2147893163e3909a9bb727999cef382d9a8",'
        b'"outcome":"settled","photo_id":"0123456789abcdef0123456789abcdef","policy_version":"2026-01",'
        b'"processors":["mayfly/onnx"],"reason":"delivered","residency_seconds":4.9,'
        b'"type":"https://mayfly.dev/receipt/v1"}'
    )


@settings(deadline=None)
@given(receipts())
def test_receipts_come_back(receipt: Receipt) -> None:
    assert Receipt.from_json(receipt.to_json()) == receipt
    envelope = sign_receipt(receipt, KEY)
    assert open_receipt(envelope, KEYS) == receipt
    entry = parse_entry(LoggedReceipt(envelope).to_entry())
    assert isinstance(entry, LoggedReceipt) and entry.receipt() == receipt


@settings(deadline=None)
@given(hexes, times)
def test_grants_come_back(photo_id: str, expire_time: int) -> None:
    assert parse_entry(Grant(photo_id, expire_time).to_entry()) == Grant(photo_id, expire_time)


def test_the_grant_leaf() -> None:
    entry = Grant("ab" * 16, 1_767_225_600).to_entry()
    assert (
        entry == b'{"expire_time":"2026-01-01T00:00:00Z","photo_id":"abababababababababababababababab","type":"grant"}'
    )


def test_times_are_rounded_to_a_second_and_durations_to_a_millisecond() -> None:
    assert format_time(1_767_225_600.6) == "2026-01-01T00:00:01Z"
    assert Custody("purge", "unknown", 1.23456).seconds == 1.235
    assert b"1.235" in sign_receipt(_with(residency_seconds=1.23456), KEY).payload


def _with(**changes: object) -> Receipt:
    values = {name: getattr(RECEIPT, name) for name in Receipt.__dataclass_fields__}
    return Receipt(**{**values, **changes})


@pytest.mark.parametrize(
    "change",
    [
        {"photo_id": "0123456789ABCDEF0123456789abcdef"},
        {"photo_id": "0123456789abcdef0123456789abcde"},
        {"photo_id": "0123456789abcdef0123456789abcdef\n"},
        {"nonce_commitment": "ab"},
        {"outcome": "lost"},
        {"reason": "because"},
        {"outcome": "revoked"},
        {"reason": "overdue"},
        {"residency_seconds": -1.0},
        {"residency_seconds": float("nan")},
        {"residency_seconds": float("inf")},
        {"ended_time": 10**20},
        {"lockdown": {"redis": ()}},
        {"lockdown": {"render": ("Jane Doe",)}},
        {"policy_version": "jane@example.com"},
        {"policy_version": "x" * 65},
        {"processors": ("IMG_2034.JPG",)},
        {"processors": ("",)},
    ],
)
def test_what_a_receipt_must_not_hold(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        _with(**change)


@pytest.mark.parametrize(
    "arguments",
    [("redis", "released", 1.0), ("render", "held", 1.0), ("render", "lost", -0.1), ("render", "lost", 1e10)],
)
def test_what_a_custody_must_not_hold(arguments: tuple[str, str, float]) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        Custody(*arguments)


def _bent(path: str, value: object) -> bytes:
    data = json.loads(RECEIPT.to_json())
    *parents, last = [int(name) if name.isdigit() else name for name in path.split(".")]
    target = data
    for name in parents:
        target = target[name]
    if value is ...:
        del target[last]
    else:
        target[last] = value
    return json.dumps(data, sort_keys=True, separators=(",", ":")).encode()


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("photo_hash", "ab"),
        ("user", "jane"),
        ("custody.0.host", "10.0.0.1"),
        ("custody.0.seconds", ...),
        ("custody.0.seconds", 4.2504),
        ("custody.0.seconds", "4.25"),
        ("custody.0.seconds", True),
        ("custody.1.seconds", 3.0),
        ("custody.1.seconds", -0.0),
        ("custody.1.seconds", 10**400),
        ("custody.0", []),
        ("custody", {}),
        ("reason", ...),
        ("reason", []),
        ("reason", None),
        ("type", "https://mayfly.dev/receipt/v2"),
        ("type", {}),
        ("admitted_time", "2026-01-01T00:00:00+00:00"),
        ("admitted_time", "2026-01-01T00:00:00.5Z"),
        ("admitted_time", "2026-1-1T00:00:00Z"),
        ("admitted_time", 5),
        ("ended_time", None),
        ("residency_seconds", 1e999),
        ("residency_seconds", "4"),
        ("lockdown", []),
        ("lockdown.render", "landlock"),
        ("lockdown.render", ["no-swap", "landlock"]),
        ("lockdown.render", ["landlock", "landlock"]),
        ("lockdown.redis", []),
        ("processors", ["ok", 7]),
        ("policy_version", None),
    ],
)
def test_a_reader_refuses_all_that_is_not_exactly_a_receipt(path: str, value: object) -> None:
    bent = _bent(path, value)
    assert bent != RECEIPT.to_json()
    with pytest.raises(VerificationError):
        Receipt.from_json(bent)


@pytest.mark.parametrize(
    "entry",
    [
        b"",
        b"{}",
        b"[]",
        b'{"type":"grant"}',
        b'{"expire_time":"2026-01-01T00:00:00Z","photo_id":"abababababababababababababababab","type":"loan"}',
        b'{"expire_time":"2026-01-01T00:00:00Z","photo_id":"ABABABABABABABABABABABABABABABAB","type":"grant"}',
        b'{"expire_time":"2026-01-01 00:00:00Z","photo_id":"abababababababababababababababab","type":"grant"}',
        b'{"expire_time":"2026-01-01T00:00:00Z","owner":"x","photo_id":"abababababababababababababababab","type":"grant"}',
        b'{"envelope":{},"type":"receipt"}',
        b'{"envelope":{},"type":"receipt","user":"x"}',
        b'{"expire_time":null,"photo_id":7,"type":["grant"]}',
    ],
)
def test_other_leaves_are_refused(entry: bytes) -> None:
    with pytest.raises(VerificationError):
        parse_entry(entry)


def test_a_receipt_opens_only_as_what_it_was_signed_as() -> None:
    with pytest.raises(VerificationError, match="type"):
        open_receipt(dsse.sign("application/json", RECEIPT.to_json(), KEY), KEYS)
    with pytest.raises(VerificationError, match="receipt"):
        open_receipt(dsse.sign(PAYLOAD_TYPE, b"{}", KEY), KEYS)


def test_a_commitment_says_nothing_without_the_nonce() -> None:
    assert commitment(b"a") != commitment(b"b") and len(commitment(b"")) == 64
