"""What the scrub costs beside copying the bytes, beside re-encoding the picture, and beside other tools that strip.

python -m benchmarks.scrub            # about three minutes; writes benchmarks/results/scrub.md
python -m benchmarks.scrub --quick    # 3 rounds; prints only

The contenders take turns within one run, so that whatever else the machine does hits all of them; CPU time, user and
system, with that of every process they start. pyvips isn't among our packages: name a Python that has it.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import PIL

from benchmarks import scrub_quality, scrub_scans, scrub_stream
from benchmarks.commit import commit
from benchmarks.scrub_ours import copied, inflated, reencoded, scrubbed, verified
from benchmarks.scrub_peers import Peer, cpu, peers, works
from benchmarks.scrub_photos import large, photos

RESULTS = Path(__file__).parent / "results" / "scrub.md"
Contender = Callable[[bytes], object]
Times = dict[str, list[float]]
_FAST = (copied, scrubbed, verified)
SCRUB, VERIFIED, PILLOW, KEPT = "scrub", "scrub and second parser", "Pillow re-encode", "exiftool, kept open"


def contenders(name: str, data: bytes, tools: dict[str, Peer]) -> dict[str, Contender]:
    proof: dict[str, Contender] = {"scrub, IDAT inflated": inflated} if name == "PNG" else {}
    others = {tool: run for tool, run in tools.items() if works(run, data)}
    return {"memcpy": copied, SCRUB: scrubbed, VERIFIED: verified, **proof, PILLOW: reencoded, **others}


def measure(runs: dict[str, Contender], data: bytes, rounds: int) -> Times:
    """Each round gives every contender its turn, the fast ones three."""
    times: Times = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            times[name] += [cpu(run, data) for _ in range(3 if run in _FAST else 1)]
    return times


def table(files: dict[str, bytes], results: dict[str, Times]) -> str:
    lines = [
        "| photo | contender | median ms | best ms | MB/s | × the scrub |",
        "| --- | --- | ---: | ---: | ---: | ---: |",
    ]
    for name, times in results.items():
        ours = statistics.median(times[SCRUB])
        for contender, samples in times.items():
            median = statistics.median(samples)
            lines.append(
                f"| {name}, {len(files[name]) / 1e6:.1f} MB | {contender} | {median * 1e3:.2f} "
                f"| {min(samples) * 1e3:.2f} | {len(files[name]) / median / 1e6:,.0f} | {median / ours:,.1f} |"
            )
    return "\n".join(lines)


def goals(files: dict[str, bytes], results: dict[str, Times]) -> str:
    median = {name: {who: statistics.median(of) for who, of in times.items()} for name, times in results.items()}
    lines = ["| goal | JPEG baseline | JPEG progressive | PNG | WebP |", "| --- | ---: | ---: | ---: | ---: |"]

    def row(goal: str, cell: Callable[[str], str]) -> None:
        lines.append(f"| {goal} | " + " | ".join(cell(name) for name in files) + " |")

    def times(name: str, who: str) -> str:
        return f"{median[name][who] / median[name][SCRUB]:,.0f} ×" if who in median[name] else "–"

    row("scrub ≤ 4 ms CPU", lambda name: f"{median[name][SCRUB] * 1e3:.2f}")
    row("with the second parser ≤ 7 ms", lambda name: f"{median[name][VERIFIED] * 1e3:.2f}")
    row("Pillow re-encode ≥ 35 × the scrub", lambda name: times(name, PILLOW))
    row("exiftool kept open ≥ 3.5 × the scrub", lambda name: times(name, KEPT))
    row("PNG and WebP ≥ 1,000 MB/s", lambda name: f"{len(files[name]) / median[name][SCRUB] / 1e6:,.0f}")
    return "\n".join(lines)


def streaming(files: dict[str, bytes]) -> str:
    lines = [
        "| photo | first byte out after | of | most held back | a frame, median | worst |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name, data in files.items():
        clean = scrub_stream.clean(data)
        lag = scrub_stream.lag(clean)
        lines.append(
            f"| {name} | {lag.first / 1024:.0f} KiB | {len(clean) / 1024:,.0f} KiB | {lag.held} bytes "
            f"| {lag.median * 1e6:.0f} µs | {lag.worst * 1e6:.0f} µs |"
        )
    return "\n".join(lines)


def memory(files: dict[str, bytes]) -> str:
    lines = ["| photo | size | peak | bound |", "| --- | ---: | ---: | ---: |"]
    for name, size in sorted((*files.items(), *large().items())):
        peak = scrub_stream.peak(size)
        lines.append(
            f"| {name} | {len(size) / 1e6:.1f} MB | {peak / 1024:,.0f} KiB | {scrub_stream.BOUND // 1024:,} KiB |"
        )
    return "\n".join(lines)


def scans(data: bytes, rounds: int) -> str:
    lines = ["| scan | ms | MB/s |", "| --- | ---: | ---: |"]
    for name, seconds in sorted(scrub_scans.measure(data, rounds).items(), key=lambda item: item[1]):
        lines.append(f"| {name} | {seconds * 1e3:.2f} | {len(data) / seconds / 1e6:,.0f} |")
    return "\n".join(lines)


def quality() -> str:
    lines = ["| from | picture | KB in | KB out | PSNR dB | SSIM |", "| --- | --- | ---: | ---: | ---: | ---: |"]
    lines += [
        f"| {q.source} | {q.picture} | {q.bytes_in / 1e3:.0f} | {q.bytes_out / 1e3:.0f} | {q.psnr:.1f} | {q.ssim:.4f} |"
        for q in scrub_quality.measure()
    ]
    return "\n".join(lines)


def report(rounds: int, vips_python: str | None) -> str:
    began, files = time.monotonic(), photos()
    with peers(vips_python) as tools:
        results = {name: measure(contenders(name, data, tools), data, rounds) for name, data in files.items()}
    wanted = {"jpegtran -copy none", "exiftool, one shot", "mat2", "libvips, kept open"}
    sections = {
        "Goals": goals(files, results),
        "Beside the peers, CPU": f"Not on this machine: {', '.join(sorted(wanted - set(tools))) or 'none'}. A peer "
        "that has no row can't strip that format here.\n\n" + table(files, results),
        "Latency, frames of 64 KiB, second parser on": streaming(files),
        "Peak memory of scrub and second parser, frames of 512 KiB": memory(files),
        "Finding markers in 4 MB of picture data": scans(files["JPEG baseline"], rounds * 2 + 1),
        "Converted formats against what their decoder gave": quality(),
    }
    head = (
        f"# Scrubbing a 12-megapixel photo\n\nCommit {commit()}; {os.cpu_count()} cores ({platform.machine()}), Linux "
        f"{platform.release()}, Python {platform.python_version()}, Pillow {PIL.__version__}. Made by `python -m "
        f"benchmarks.scrub` in {time.monotonic() - began:.0f} s on a machine with other work (load "
        f"{os.getloadavg()[0]:.1f} at the end). Medians of {rounds} interleaved "
        "rounds (three turns in each of what is ours); frames of 512 KiB.\n"
    )
    return head + "".join(f"\n## {title}\n\n{text}\n" for title, text in sections.items())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--quick", action="store_true", help="3 rounds; prints, writes nothing")
    parser.add_argument("--vips-python", help="a Python that has pyvips; without it libvips is left out")
    parser.add_argument("--out", type=Path, default=RESULTS, help=f"where to write (default: {RESULTS})")
    given = parser.parse_args()
    text = report(3 if given.quick else given.rounds, given.vips_python)
    print(text)
    if not given.quick:
        given.out.write_text(text, encoding="utf-8")
        print(f"written to {given.out}", file=sys.stderr)


if __name__ == "__main__":
    main()
