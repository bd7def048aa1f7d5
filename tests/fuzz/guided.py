"""The same targets, led by coverage: ``python -m tests.fuzz.guided --format jpeg --executions 100000``.

Needs atheris (libFuzzer for Python), which isn't among our packages. Half of the mutants are libFuzzer's own, half
are ``mutations``' of the file that libFuzzer picked. What crashes is written to the working folder.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import zlib
from pathlib import Path

import atheris  # type: ignore[import-not-found,unused-ignore]

with atheris.instrument_imports(include=["services.ingest"]):
    from tests.fuzz import corpus, mutations, target


def once(data: bytes) -> None:
    target.check(data, random.Random(zlib.crc32(data)))


def mutate(data: bytes, most: int, seed: int) -> bytes:
    chance = random.Random(seed)
    if not data or chance.random() < 0.5:
        mutated: bytes = atheris.Mutate(data, most)
        return mutated
    return mutations.mutant(data, chance)[:most]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.guided", description="Fuzz, led by coverage.")
    parser.add_argument("--format", choices=corpus.FORMATS, required=True)
    parser.add_argument("--executions", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix=f"mayfly-fuzz-{given.format}-"))
    for number, data in enumerate(corpus.seeds(given.format)):
        (folder / f"{number}").write_bytes(data)
    options = [
        f"-runs={given.executions}",
        f"-seed={given.seed}",
        "-max_len=8192",
        "-timeout=5",
        "-print_final_stats=1",
    ]
    atheris.Setup([sys.argv[0], *options, str(folder)], once, custom_mutator=mutate)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
