"""What faults of Redis do to photos: each of the tests' faults, in the midst of 200 photos.

python -m benchmarks.availability    # about two minutes; writes benchmarks/results/availability.md
"""

from __future__ import annotations

import asyncio
import tempfile
from collections import Counter
from pathlib import Path

from clients.local.mesh import LocalMesh
from tests.chaos import certificates
from tests.chaos.certificates import certificates_changed
from tests.chaos.ordeal import PHOTOS, PROMISED, Account, endure
from tests.chaos.trouble import Make
from tests.chaos.troubles import ALL

RESULTS = Path(__file__).parent / "results" / "availability.md"
_HEAD = f"""# What a failing Redis does to photos

`python -m benchmarks.availability`: a whole mesh over real servers, {PHOTOS} photos (and those that ask whether new ones work again), one fault in their midst.
One run each on two shared cores; small photos, the null engine, leases of 4 s. After each fault the tests' promises were checked: nobody has another's picture, each lease has one
receipt, nothing without a TTL is left, new photos work within {PROMISED:g} s of the fault's end (or of its beginning, where others take over). A fault that breaks one has no row: the run stops.

| fault | new photos work again after | photos, by how they ended | receipts |
| --- | --- | --- | --- |
"""  # noqa: E501 - a line of Markdown is a paragraph


def run(make: Make) -> Account:
    """One fault, on a mesh of its own."""
    with (
        tempfile.TemporaryDirectory(prefix="mayfly-") as folder,
        make() as trouble,
        LocalMesh(Path(folder), trouble.overrides) as mesh,
    ):
        return asyncio.run(endure(mesh, trouble))


def row(name: str, account: Account) -> str:
    when = f"{account.healed:.1f} s after its end"
    if account.taken_over is not None:
        when = f"{account.taken_over:.1f} s after its beginning"
    return f"| {name.replace('_', ' ')} | {when} | {_told(account.ends)} | {_told(account.receipts)} |\n"


def _told(counts: Counter[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.most_common())


def main() -> None:
    rows = []
    for make in ALL:
        if make is certificates_changed and certificates.redis_binary() is None:
            continue
        rows.append(row(make.__name__, run(make)))
        print(rows[-1], end="", flush=True)
    RESULTS.write_text(_HEAD + "".join(rows), "utf-8")


if __name__ == "__main__":
    main()
