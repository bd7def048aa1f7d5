"""``python -m tests.fuzz --format jpeg --executions 1000000 --seed 1 --processes 2``: the last line is JSON."""

from __future__ import annotations

import argparse
import json
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from tests.fuzz.campaign import Tally, run
from tests.fuzz.corpus import FORMATS

_SLICE = 25_000  # executions of one seed


def one(format: str, executions: int, seed: str, keep: Path | None) -> Tally:
    return run(format, executions, seed, keep=keep)


def slices(executions: int, seed: int) -> list[tuple[int, str]]:
    """A slice is repeatable alone, by its seed, however many processes there were."""
    sizes = [_SLICE] * (executions // _SLICE) + [executions % _SLICE] * (executions % _SLICE > 0)
    return [(size, f"{seed}.{number}") for number, size in enumerate(sizes)]


def campaign(format: str, executions: int, seed: int, processes: int, keep: Path | None) -> dict[str, object]:
    began, total = time.monotonic(), Tally()
    with ProcessPoolExecutor(processes) as pool:
        jobs = [pool.submit(one, format, size, part, keep) for size, part in slices(executions, seed)]
        for job in jobs:
            total.add(job.result())
            rate = total.executions / (time.monotonic() - began)
            line = f"\r{format}: {total.executions:,} executions, {total.crashes} crashes, {rate:,.0f}/s"
            print(line, end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    seconds = time.monotonic() - began
    return {
        "format": format,
        "seed": seed,
        "executions": total.executions,
        "refused": sum(total.refused.values()),
        "reasons": dict(total.refused.most_common()),
        "accepted": total.accepted,
        "crashes": total.crashes,
        "findings": total.findings,
        "slowest_seconds": round(total.slowest, 3),
        "executions_per_second": round(total.executions / seconds),
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description="Fuzz the scrubber and its verifier.")
    parser.add_argument("--format", choices=FORMATS, required=True)
    parser.add_argument("--executions", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--keep", type=Path, help="an existing folder for what crashed")
    given = parser.parse_args()
    result = campaign(given.format, given.executions, given.seed, given.processes, given.keep)
    print(json.dumps(result))
    sys.exit(1 if result["crashes"] else 0)
