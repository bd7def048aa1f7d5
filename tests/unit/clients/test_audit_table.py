"""The table of an audit: a row for each way of ending, 0 in every cell, and what is not 0."""

from __future__ import annotations

import io
from typing import Any

from rich.console import Console

from clients.cli.audit_table import show

CLEAN: dict[str, Any] = {
    "outcome": "clean",
    "canaries": {"delivered": 50, "parked_expired": 50},
    "residue": [],
    "found": [],
    "searched": {"memory": 3_200_000_000, "file": 1500, "redis": 0},
    "hunts": 13,
    "hunting_seconds": 41.2,
    "seconds": 120.4,
    "control": 1.0,
    "reconciled": True,
    "differences": {},
    "failed": [],
    "not_searched": [],
    "log_index": 200,
}


def _shown(report: dict[str, Any], width: int = 80) -> list[str]:
    out = io.StringIO()
    show(report, Console(file=out, width=width, color_system=None))
    return out.getvalue().splitlines()


def test_a_clean_audit_fits_eighty_columns() -> None:
    lines = _shown(CLEAN)
    assert lines[0].split() == [
        "The",
        "photo",
        "was",
        "Sent",
        *["Memory", "Files", "Unnamed", "Redis", "Logs", "Metrics", "Cores"],
    ]
    assert lines[1].split() == ["delivered", "50", *"0000000"]
    assert lines[2].split() == ["parked", "expired", "50", *"0000000"]
    text = " ".join(lines)
    assert "100 canaries in 120 s; of these 13 hunts, 41 s. Searched: memory 3.2 GB, files 1.5 kB." in text
    assert "Signed, and entry 200 of the log." in text


def test_what_was_found_is_named() -> None:
    size = {"service": "ingest", "where": "memory", "ending": "delivered", "bytes": 4096}
    found = {**size, "what": "upload", "detail": "pid 7, heap"}
    report = {**CLEAN, "residue": [size], "found": [found], "failed": ["Redis can't be searched"], "reconciled": False}
    report["not_searched"] = ["log"]
    report["differences"] = {"ended_twice": ["ab" * 16]}
    text = "\n".join(_shown(report, 200))
    assert "found 4.1 kB of the upload (delivered): ingest, memory, pid 7, heap" in text
    assert "out of reach as was declared: log" in text
    assert "not done Redis can't be searched" in text
    assert f"the countings disagree (ended twice): {'ab' * 16}" in text
    assert [line.split()[:2] for line in text.splitlines() if line.startswith("ingest")] == [["ingest", "4.1"]]
