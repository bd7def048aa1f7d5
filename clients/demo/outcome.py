"""What one run of the demo found out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clients.sdk.results import Result
from clients.verify import Verified


@dataclass(frozen=True, slots=True)
class Shown:
    """One picture, on disk, and its verified receipt."""

    scene_id: str
    title: str
    result: Result
    file: Path
    receipt_file: Path
    verified: Verified


@dataclass(frozen=True, slots=True)
class Outcome:
    """keys_left: in Valkey, of these photos, receipts aside; None with a Redis that isn't ours.

    canaries: how many byte strings were planted, and searched for in vain.
    """

    shown: Sequence[Shown]
    canaries: int
    keys_left: int | None

    def to_value(self) -> dict[str, Any]:
        pictures = [
            {
                "scene_id": item.scene_id,
                "photo_id": item.result.photo_id,
                "output": str(item.file),
                "receipt_file": str(item.receipt_file),
                "removed": {} if item.result.scrubbed is None else dict(item.result.scrubbed.removed),
                "custody_seconds": {held.holder: held.seconds for held in item.verified.receipt.custody},
                "checks": list(item.verified.checks),
            }
            for item in self.shown
        ]
        return {"pictures": pictures, "planted_and_gone": self.canaries, "keys_left": self.keys_left}
