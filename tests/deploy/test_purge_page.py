"""docs/purge.md names every kind of key with the longest time that it may have left."""

from __future__ import annotations

import re
from pathlib import Path

from services.purge.keyspace import ceilings

PAGE = Path(__file__).resolve().parents[2] / "docs" / "purge.md"
_ROW = re.compile(r"^\| `([a-z-]+):.*\| (?:(L) \+ )?([0-9.]+) \|$", re.M)


def test_the_table_of_keys_is_what_attestation_holds_them_to() -> None:
    longest = 300.0
    rows = _ROW.findall(PAGE.read_text("utf-8"))
    table = {kind.encode(): float(seconds) + (longest if lease else 0) for kind, lease, seconds in rows}
    assert table == dict(ceilings(longest))


def test_every_alert_and_page_that_it_names_exists() -> None:
    text = PAGE.read_text("utf-8")
    named = set(re.findall(r"\bMayfly[A-Z]\w+", text))
    assert named
    assert named <= {page.stem for page in (PAGE.parent / "runbooks").glob("*.md")}
    for link in re.findall(r"\]\(([^)#]+)", text):
        assert (PAGE.parent / link).exists(), link
