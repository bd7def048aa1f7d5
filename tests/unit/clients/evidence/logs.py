"""Real logs of two replicas: what one grants, the other may end."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from clients.audit import Trust
from mesh.clock import SystemClock
from mesh.transparency.key_list import KeyList
from mesh.transparency.note import Signer
from mesh.transparency.tiles import DirectoryReader
from services.purge.audit import LoggedAudit, Residue, Statement, sign_statement
from services.purge.log import Log
from services.purge.receipt import Custody, Grant, LoggedReceipt, Receipt, sign_receipt
from services.purge.signing import public_pem

KEYS = [Ed25519PrivateKey.from_private_bytes(letter * 32) for letter in (b"a", b"b")]
LOGS = [Signer(f"mayfly.test/{n}", Ed25519PrivateKey.from_private_bytes(b"%d" % n * 32)) for n in (0, 1)]
AUDITOR = Ed25519PrivateKey.from_private_bytes(b"e" * 32)
NOW = 1_800_000_000  # 2027-01-15T08:00:00Z
HOUR = 3600
LOCKDOWN = {"gateway": ("no_swap", "seccomp"), "render": ("no_swap",)}


def grant(number: int, expire: int) -> bytes:
    return Grant(f"{number:032x}", expire).to_entry()


def receipt(
    number: int, ended: int, *, lived: float | None = 4.5, outcome: str = "settled", replica: int = 0, **more: object
) -> bytes:
    """Of a photo that the gateway and render have held."""
    made = Receipt(
        f"{number:032x}",
        ended,
        outcome,
        {"settled": "delivered", "revoked": "requested", "expired": "overdue"}[outcome],
        admitted_time=None if lived is None else ended - round(lived),
        residency_seconds=lived,
        custody=(Custody("gateway", "released", 4.0), Custody("render", "released", 3.0)),
        lockdown=more.get("lockdown", LOCKDOWN),  # type: ignore[arg-type]
        policy_version="2026-11",
        processors=("mayfly/onnx",),
    )
    return LoggedReceipt(sign_receipt(made, KEYS[replica])).to_entry()


def audit(at: int, residue: int = 0) -> bytes:
    """Incomplete, or with so many bytes of residue: a clean one takes more than tests need."""
    found = (Residue("ingest", "memory", residue),) if residue else ()
    made = Statement(time=at, outcome="residue" if found else "incomplete", residue=found, id=f"{at:032x}")
    return LoggedAudit(sign_statement(made, AUDITOR)).to_entry()


async def _append(directory: Path, replica: int, entries: Sequence[bytes]) -> None:
    log = Log.open(directory, origin=LOGS[replica].name, signer=LOGS[replica], clock=SystemClock())
    await log.append_many(entries)
    await log.close()


@dataclass
class Shards:
    """folder: where logs and keys lie."""

    folder: Path

    def log(self, replica: int) -> Path:
        return self.folder / f"log-{replica}"

    def add(self, replica: int, *entries: bytes) -> None:
        asyncio.run(_append(self.log(replica), replica, entries))

    def readers(self, *replicas: int) -> list[DirectoryReader]:
        return [DirectoryReader(self.log(replica) / "public") for replica in replicas or (0, 1)]

    def trust(self) -> Trust:
        return Trust(
            [signer.verifier for signer in LOGS], [key.public_key() for key in KEYS], audits=[AUDITOR.public_key()]
        )

    def arguments(self) -> list[str]:
        """For the command: the logs, and whom to trust."""
        said = [str(self.log(0)), str(self.log(1)), "--audit-key", str(self.folder / "audit.pub.pem")]
        (self.folder / "audit.pub.pem").write_bytes(public_pem(AUDITOR.public_key()))
        for replica in (0, 1):
            path = self.folder / f"{replica}.json"
            listed = KeyList(LOGS[replica].name).signing(
                KEYS[replica].public_key(), LOGS[replica].key.public_key(), NOW - 10_000_000
            )
            path.write_bytes(listed.to_json())
            said += ["--trust", str(path)]
        return said
