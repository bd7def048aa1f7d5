"""A process that has sent two pictures to a pool, for tests that look into its memory.

python -m tests.triton.remembering PROCESSORS CERT KEY CA: reads a word a line from stdin (`infer SEED`, `rinse`), does
it, lets go of everything, and answers with `done`.
"""

from __future__ import annotations

import gc
import sys
from pathlib import Path

import numpy as np
from prometheus_client import CollectorRegistry

from mesh.clock import SystemClock
from mesh.identity import Identity
from services.render.engines.triton import processors
from services.render.engines.triton.metrics import PoolMetrics
from services.render.engines.triton.networks import PoolNetworks
from services.render.engines.triton.pool import Pool
from services.render.steps.pixels import Array

STYLE = (1.0, *([0.0] * 25))


def pictures(seed: int) -> tuple[Array, Array]:
    """Noise, so that every window is its own: what is cut out, and what is painted."""
    random = np.random.default_rng(seed)
    return random.random((320, 320, 3), np.float32), random.random((256, 200, 3), np.float32)


def infer(pool: Pool, seed: int) -> tuple[Array, Array]:
    first, second = pictures(seed)
    networks = PoolNetworks(pool)
    return networks.cut_out(first), networks.stylize(second, STYLE)


def main(listed: str, *pems: str) -> None:
    cert, key, ca = (Path(pem).read_bytes() for pem in pems)
    pool = Pool(
        processors.load(Path(listed)),
        identity=Identity(cert, key, ca, "mayfly.test"),
        metrics=PoolMetrics(CollectorRegistry()),
        clock=SystemClock(),
        call_seconds=60.0,
    )
    pool.start()
    for line in sys.stdin:
        word, _, seed = line.strip().partition(" ")
        if word == "infer":
            infer(pool, int(seed))
        elif not pool.rinse():
            raise SystemExit("not rinsed")
        gc.collect()
        print("done", flush=True)  # noqa: T201
    pool.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
