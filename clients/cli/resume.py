"""The resume file: what it takes to collect a picture whose connection broke. A secret, so 0600 and short-lived."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from clients.cli.exits import UsageFailed
from clients.cli.output import write_file

if TYPE_CHECKING:
    from clients.sdk.results import Lease


def save(path: Path, lease: Lease) -> None:
    """Written when the lease exists, before a byte of the photo is sent."""
    value = {
        "photo_id": lease.photo_id,
        "resume_token": lease.resume_token,
        "expire_time": lease.expire_time.isoformat(),
        "nonce": lease.nonce.hex(),
        "claimant": lease.claimant.hex(),
    }
    write_file(path, json.dumps(value).encode() + b"\n", private=True)


def load(path: Path) -> Lease:
    """UsageFailed for a file that isn't one."""
    from clients.sdk.results import Lease  # noqa: PLC0415 - imports the stubs

    try:
        value = json.loads(path.read_bytes())
        expire_time = datetime.fromisoformat(value["expire_time"]).astimezone(UTC)
        nonce = bytes.fromhex(value["nonce"])
        claimant = bytes.fromhex(value.get("claimant", ""))
        return Lease(str(value["photo_id"]), expire_time, str(value["resume_token"]), nonce, claimant)
    except FileNotFoundError:
        raise UsageFailed(f"{path}: no such resume file.") from None
    except (OSError, ValueError, KeyError, TypeError):
        raise UsageFailed(f"{path} is not a resume file.") from None
