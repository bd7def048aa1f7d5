"""Many executions of the target, counted."""

from __future__ import annotations

import hashlib
import time
import traceback
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from tests.fuzz.mutations import Mutator
from tests.fuzz.target import check


@dataclass
class Tally:
    """refused: executions by reason. findings: kinds of crash. slowest: CPU seconds of one execution."""

    executions: int = 0
    accepted: int = 0
    crashes: int = 0
    slowest: float = 0.0
    refused: Counter[str] = field(default_factory=Counter)
    findings: dict[str, str] = field(default_factory=dict)

    def add(self, other: Tally) -> None:
        self.executions += other.executions
        self.accepted += other.accepted
        self.crashes += other.crashes
        self.slowest = max(self.slowest, other.slowest)
        self.refused += other.refused
        self.findings |= other.findings


def run(format: str, executions: int, seed: object, *, keep: Path | None = None) -> Tally:
    """``keep`` is a folder for what crashed, one file for each kind of crash."""
    tally, mutator = Tally(), Mutator(format, seed)
    for _ in range(executions):
        _execute(tally, mutator.next(), mutator, keep)
    return tally


def _execute(tally: Tally, data: bytes, mutator: Mutator, keep: Path | None) -> None:
    began = time.process_time()
    tally.executions += 1
    try:
        reason = check(data, mutator.chance)
    except Exception as crash:
        tally.crashes += 1
        kind = _kind(crash)
        if kind not in tally.findings:
            name = hashlib.sha256(data).hexdigest()[:16]
            tally.findings[kind] = name
            if keep is not None:
                (keep / name).write_bytes(data)
    else:
        if reason is None:
            tally.accepted += 1
        else:
            tally.refused[reason.value] += 1
    tally.slowest = max(tally.slowest, time.process_time() - began)


def _kind(crash: Exception) -> str:
    """What and where, without the numbers in it."""
    where = traceback.extract_tb(crash.__traceback__)[-1]
    detail = getattr(crash, "rule", "") or str(crash).translate(str.maketrans("", "", "0123456789"))
    return f"{type(crash).__name__}: {detail} ({Path(where.filename).name}, {where.name})"
