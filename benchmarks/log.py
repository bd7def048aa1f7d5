"""The log: appends beside raw synced writes, receipts a second, proofs and restarts of large logs.

python -m benchmarks.log            # about ten minutes and 8 GB below --dir; writes benchmarks/results/log.md
python -m benchmarks.log --quick    # half a minute; prints only
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

from benchmarks.commit import commit
from benchmarks.log_trees import KEY, SIGNER, build, entries, receipt
from mesh.clock import SystemClock
from services.purge.ledger import Ledger
from services.purge.log import Log
from services.purge.receipt import LoggedReceipt, sign_receipt

RESULTS = Path(__file__).parent / "results" / "log.md"
CALLERS = (1, 16, 256)
SECONDS = 0.6  # of each contender in each round
RAW = "raw: write, fdatasync"
BATCH = 10_000
Samples = dict[str, list[float]]


def open_log(directory: Path) -> Log:
    return Log.open(directory, origin=SIGNER.name, signer=SIGNER, clock=SystemClock())


async def appends(folder: Path, rounds: int) -> Samples:
    """Entries a second; contenders take turns in each round, and begin in another place."""
    samples: Samples = defaultdict(list)
    entry = list(entries(100_000))[1]
    names = [RAW, *(f"{count} caller{'s' if count > 1 else ''}" for count in CALLERS)]
    log = open_log(folder / "appends")
    with (folder / "raw").open("wb", buffering=0) as raw:
        for turn in range(rounds):
            for name in names[turn % len(names) :] + names[: turn % len(names)]:
                rate = _raw(raw.fileno(), entry) if name == RAW else await _callers(log, int(name.split()[0]), entry)
                samples[name].append(rate)
    await log.close()
    return samples


def _raw(fd: int, entry: bytes) -> float:
    count, began = 0, time.perf_counter()
    while time.perf_counter() - began < SECONDS:
        os.write(fd, entry)
        os.fdatasync(fd)
        count += 1
    return count / (time.perf_counter() - began)


async def _callers(log: Log, callers: int, entry: bytes) -> float:
    began, first = time.perf_counter(), log.size

    async def caller() -> None:
        while time.perf_counter() - began < SECONDS:
            await log.append(entry)

    await asyncio.gather(*(caller() for _ in range(callers)))
    return (log.size - first) / (time.perf_counter() - began)


async def receipts(folder: Path, rounds: int) -> tuple[list[float], list[float]]:
    """Receipts a second that are signed and durable in batches of BATCH; and the CPU of each, in µs, all threads."""
    ledger = Ledger(open_log(folder / "receipts"), KEY)
    made = [receipt(f"{number:032x}") for number in range(BATCH)]
    rates, cpu = [], []
    for _ in range(rounds):
        wall, spent = time.perf_counter(), time.process_time()
        await ledger.issue_many(made)
        rates.append(BATCH / (time.perf_counter() - wall))
        cpu.append((time.process_time() - spent) / BATCH * 1e6)
        await ledger.log.integrate()
    await ledger.log.close()
    return rates, cpu


def micros(work: Callable[[], object], rounds: int, times: int = 2000) -> float:
    """The median of the rounds, CPU µs."""
    each = []
    for _ in range(rounds):
        began = time.process_time()
        for _ in range(times):
            work()
        each.append((time.process_time() - began) / times * 1e6)
    return statistics.median(each)


def receipt_cost(rounds: int) -> list[tuple[str, float]]:
    made, keyid = receipt("a" * 32), sign_receipt(receipt("a" * 32), KEY).keyid
    data = made.to_json()
    envelope = sign_receipt(made, KEY, keyid)
    return [
        ("make and check it", micros(lambda: receipt("a" * 32), rounds)),
        ("spell it", micros(made.to_json, rounds)),
        ("sign it (Ed25519 alone)", micros(lambda: KEY.sign(data), rounds)),
        ("the log's entry of it", micros(LoggedReceipt(envelope).to_entry, rounds)),
        (
            "all of that",
            micros(lambda: LoggedReceipt(sign_receipt(receipt("a" * 32), KEY, keyid)).to_entry(), rounds),
        ),
    ]


def large(directory: Path, size: int) -> dict[str, float]:
    """Milliseconds and seconds of one log of this size."""
    began = time.perf_counter()
    build(directory, size)
    print(f"{size:,} entries made in {time.perf_counter() - began:.0f} s", file=sys.stderr)
    found: dict[str, float] = {}
    for name in ("full", "snapshot"):
        began, spent = time.perf_counter(), time.process_time()
        log = open_log(directory)
        ledger = Ledger(log, KEY)
        history = ledger.history()
        found[name], found[f"{name} cpu"] = time.perf_counter() - began, time.process_time() - spent
        assert len(history.open) > 0 and (history.replayed == 0) == (name == "snapshot")
        if name == "snapshot":
            found |= _proofs(log, size)
            found["snapshot bytes"] = (directory / "open").stat().st_size
        asyncio.run(log.close())
    return found


def _proofs(log: Log, size: int) -> dict[str, float]:
    choose, wall, cpu = random.Random(7), [], []
    for _ in range(2000):
        index = choose.randrange(size)
        began, spent = time.perf_counter(), time.thread_time()
        log.prove(index)
        wall.append((time.perf_counter() - began) * 1e3)
        cpu.append((time.thread_time() - spent) * 1e3)
    return {"p50": statistics.median(wall), "cpu p50": statistics.median(cpu), "cpu p99": sorted(cpu)[1979]}


def report(
    samples: Samples,
    batch: tuple[list[float], list[float]],
    costs: list[tuple[str, float]],
    logs: dict[int, dict[str, float]],
    rounds: int,
) -> str:
    raw = statistics.median(samples[RAW])
    lines = [
        "# The receipt log\n",
        f"Commit {commit()}; made by `python -m benchmarks.log` on {os.cpu_count()} cores of a machine with other work "
        f"(load {os.getloadavg()[0]:.1f} at the end). Only ratios travel.\n",
        "## Appends\n",
        f"Entries of one receipt, durable on return; medians of {rounds} rounds in which the contenders take turns. "
        "The log also integrates, twice a second, while it is measured.\n",
        "| contender | entries/s | beside raw |",
        "| --- | ---: | ---: |",
    ]
    for name, rates in samples.items():
        rate = statistics.median(rates)
        lines.append(f"| {name} | {rate:,.0f} | {rate / raw:.2f} × |")
    lines += [
        "\n## Receipts\n",
        f"Batches of {BATCH:,} through `Ledger.issue_many`, signed and durable: "
        f"{statistics.median(batch[0]):,.0f} a second, {statistics.median(batch[1]):.0f} µs of CPU each.\n",
        "| CPU of one receipt | µs |",
        "| --- | ---: |",
        *[f"| {name} | {cost:.1f} |" for name, cost in costs],
        "\n## Large logs\n",
        "A start reads the log's edge, then its snapshot or all of it; 1,000 grants are open. Wall time, and CPU in "
        "brackets. Proofs are of random leaves, from tiles in the page cache.\n",
        "| entries | start, snapshot | start, all read | ratio of CPU | snapshot | proof p50 | CPU p50 | CPU p99 |",
        "| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for size, log in logs.items():
        lines.append(
            f"| {size:,} | {log['snapshot']:.2f} s ({log['snapshot cpu']:.2f}) | {log['full']:.0f} s "
            f"({log['full cpu']:.0f}) | {log['full cpu'] / log['snapshot cpu']:,.0f} × | "
            f"{log['snapshot bytes'] / 1e6:.1f} MB | {log['p50']:.2f} ms | {log['cpu p50']:.2f} ms | "
            f"{log['cpu p99']:.2f} ms |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer of everything; prints, writes nothing")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sizes", default="1000000,10000000", help="entries of the large logs (default: %(default)s)")
    parser.add_argument("--dir", type=Path, help="on the disk that is to be measured (default: the temporary folder)")
    parser.add_argument("--out", type=Path, default=RESULTS, help=f"where to write (default: {RESULTS})")
    given = parser.parse_args()
    rounds, sizes = (2, "100000") if given.quick else (given.rounds, given.sizes)
    logs = {}
    with tempfile.TemporaryDirectory(prefix="mayfly-bench-", dir=given.dir) as name:
        folder = Path(name)
        samples = asyncio.run(appends(folder, rounds))
        batch = asyncio.run(receipts(folder, rounds))
        costs = receipt_cost(rounds)
        for size in map(int, sizes.split(",")):
            with tempfile.TemporaryDirectory(dir=folder) as place:
                logs[size] = large(Path(place) / "log", size)
    text = report(samples, batch, costs, logs, rounds)
    print(text)
    if not given.quick:
        given.out.write_text(text, encoding="utf-8")
        print(f"written to {given.out}", file=sys.stderr)


if __name__ == "__main__":
    main()
