"""Logs of a given size, made in bulk: the files that ten million appends would have left, without the syncs."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Iterator
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from mesh.transparency.checkpoint import Checkpoint, sign_checkpoint
from mesh.transparency.edge import Edge
from mesh.transparency.note import Signer
from services.purge.receipt import Custody, LoggedReceipt, Receipt, format_time, sign_receipt

SIGNER = Signer("mayfly.bench/log", Ed25519PrivateKey.from_private_bytes(b"b" * 32))
KEY = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
OPEN = 1000  # grants at the end that have no receipt
ENDED = 1_767_225_605
_CHUNK = 1 << 16


def receipt(photo_id: str) -> Receipt:
    """As a photo leaves it that three services have held."""
    return Receipt(
        photo_id=photo_id,
        ended_time=ENDED,
        outcome="settled",
        reason="delivered",
        admitted_time=ENDED - 5,
        residency_seconds=4.902,
        nonce_commitment="ab" * 32,
        custody=tuple(Custody(holder, "released", 1.25) for holder in ("gateway", "ingest", "render")),
        lockdown=dict.fromkeys(("gateway", "ingest", "render"), ("landlock", "no_core_dumps", "no_swap")),
        policy_version="2026-01",
        processors=("mayfly/onnx",),
    )


def build(directory: Path, size: int) -> None:
    """``size`` entries, alternately a grant and its receipt, whose signatures are not real ones."""
    public = directory / "public"
    (directory / "journal").mkdir(parents=True)
    made: set[Path] = set()
    edge, source = Edge(), entries(size)
    while edge.size < size:
        chunk = [next(source) for _ in range(min(_CHUNK, size - edge.size))]
        edge, files = edge.extended(chunk)
        for file in files:
            path = public / file.path
            if path.parent not in made:
                path.parent.mkdir(parents=True, exist_ok=True)
                made.add(path.parent)
            path.write_bytes(file.data)
    (public / "checkpoint").write_bytes(sign_checkpoint(Checkpoint(SIGNER.name, size, edge.root()), SIGNER))


def entries(size: int) -> Iterator[bytes]:
    template = LoggedReceipt(sign_receipt(receipt("0" * 32), KEY)).to_entry()
    payload = receipt("0" * 32).to_json()
    before, after = payload.split(b"0" * 32)
    head, tail = template.split(base64.b64encode(payload))
    expire = format_time(ENDED + 100).encode()
    for number in range(size // 2):
        photo_id = secrets.token_hex(16).encode()
        yield b'{"expire_time":"%b","photo_id":"%b","type":"grant"}' % (expire, photo_id)
        if number < size // 2 - OPEN:
            yield head + base64.b64encode(before + photo_id + after) + tail
    for _ in range(size - 2 * (size // 2) + OPEN):
        yield b'{"expire_time":"%b","photo_id":"%b","type":"grant"}' % (expire, secrets.token_hex(16).encode())
