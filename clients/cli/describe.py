"""Results as JSON values and as sentences."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from clients.sdk.results import Result, Scrubbed


def result(result: Result, output: Path, receipt_file: Path | None) -> dict[str, Any]:
    """A render or a collected picture."""
    picture = result.picture
    return {
        "photo_id": result.photo_id,
        "output": str(output),
        "media_type": picture.media_type,
        "width": picture.width,
        "height": picture.height,
        "byte_count": len(picture.data),
        "scrubbed": None if result.scrubbed is None else scrubbed(result.scrubbed),
        "nonce": result.nonce.hex(),
        "receipt_file": None if receipt_file is None else str(receipt_file),
        "receipt_arrived": result.receipt is not None,
    }


def scrubbed(facts: Scrubbed) -> dict[str, Any]:
    return {
        "format": facts.format,
        "width": facts.width,
        "height": facts.height,
        "removed": dict(facts.removed),
    }


def removed_sentence(facts: Scrubbed) -> str:
    if not facts.removed:
        return "The photo carried no metadata."
    kinds = ", ".join(f"{kind} ({size:,} bytes)" for kind, size in sorted(facts.removed.items()))
    return f"Removed from the photo: {kinds}."
