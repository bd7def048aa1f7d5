"""The demo's result, for a reader: on a terminal in colour, elsewhere as plain text."""

from __future__ import annotations

from datetime import UTC, datetime

from rich.console import Console
from rich.table import Table

from clients.demo import words
from clients.demo.outcome import Outcome, Shown


def show(console: Console, outcome: Outcome) -> None:
    """What was removed, who held the photo, and that it is gone."""
    scrubbed = outcome.shown[0].result.scrubbed
    if scrubbed is not None:
        console.print(_removed_table(dict(scrubbed.removed), scrubbed.format))
    if outcome.canaries:
        console.print(
            f"{outcome.canaries} byte strings had been planted in the photo: place, serial number, owner, caption, … "
            "None of them is in the pictures, in the receipts, or in any file that the mesh wrote."
        )
    console.print()
    for item in outcome.shown:
        console.print(_custody_table(item))
        console.print()
    console.print(_end_table(outcome))


def _removed_table(removed: dict[str, int], photo_format: str) -> Table:
    table = Table(title=f"What the {photo_format.upper()} said besides the picture", title_justify="left")
    table.add_column("The photo carried")
    table.add_column("Bytes", justify="right")
    table.add_column("Now")
    for name, size in _outermost_first(removed):
        inside = words.INSIDE.get(name) in removed
        table.add_row(f"{'  · ' if inside else ''}{words.kind(name)}", f"{size:,}", "removed")
    if not removed:
        table.add_row("nothing", "0", "")
    return table


def _outermost_first(removed: dict[str, int]) -> list[tuple[str, int]]:
    """Each kind, followed by those that lie inside it."""

    def order(name: str) -> tuple[int, str, bool]:
        outer = words.INSIDE.get(name, name)
        outer = outer if outer in removed else name
        return (-removed[outer], outer, name != outer)

    return [(name, removed[name]) for name in sorted(removed, key=order)]


def _custody_table(item: Shown) -> Table:
    table = Table(title=f"Who had the photo for “{item.title}”, says its receipt", title_justify="left")
    table.add_column("Service")
    table.add_column("What it does")
    table.add_column("Had it for", justify="right")
    table.add_column("Then")
    order = list(words.SERVICES)
    for custody in sorted(item.verified.receipt.custody, key=lambda custody: order.index(custody.holder)):
        what = words.SERVICES.get(custody.holder, "")
        table.add_row(custody.holder, what, words.duration(custody.seconds), custody.state)
    return table


def _end_table(outcome: Outcome) -> Table:
    table = Table(title="Where the photo is now", title_justify="left")
    table.add_column("Picture")
    table.add_column("Photo gone at")
    table.add_column("Receipt")
    table.add_column("Left in Valkey")
    left = "?" if outcome.keys_left is None else f"{outcome.keys_left} keys"
    for item in outcome.shown:
        gone = datetime.fromtimestamp(item.verified.receipt.ended_time, UTC).strftime("%H:%M:%S UTC")
        proof = f"verified, log entry {item.verified.index}"
        table.add_row(item.title, gone, proof, left)
    return table
