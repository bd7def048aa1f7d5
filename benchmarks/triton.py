"""What the engine `triton` costs beside calling the networks directly, and what batching on the server brings.

python -m benchmarks.triton            # about three minutes; writes benchmarks/results/triton.md
python -m benchmarks.triton --quick    # fewer rounds; prints only

A real Triton on this machine (`make triton`), over loopback with mutual TLS, shares the cores with its client.
Overhead: one inference through the engine's client, against onnxruntime called in this process, in turns; wall time,
and CPU time of all that takes part (client, server, its network's process), which other work on the machine doesn't
disturb. Batching: so many threads ask at once, of a server that batches and of one that doesn't, in turns. All
processes have the allocator settings of the mesh.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import platform
import re
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np

from benchmarks.commit import commit
from benchmarks.processes import cpu_seconds
from mesh.forgetting import environment
from mesh.testing.wait import eventually
from services.render import models
from services.render.engines.onnx import OnnxNetworks
from services.render.engines.triton import processors
from services.render.engines.triton.networks import PoolNetworks
from services.render.engines.triton.pool import Pool
from services.render.steps.workspace import Networks
from tests.triton.server import Authority, TritonServer, processors_file
from tests.unit.services.render.triton.doubles import new_pool
from tests.unit.serving import authority

RESULTS = Path(__file__).parent / "results" / "triton.md"
STYLE = (1.0, *([0.0] * 25))
CLIENTS = (1, 4, 8)
EACH = 3  # inferences of one client in a round
PAINT = (1024, 820)  # px; about what a portrait is painted at
SMALL = (256, 256)
Picture = np.ndarray[tuple[int, ...], np.dtype[np.float32]]


def image(height: int, width: int) -> Picture:
    return np.random.default_rng(3).random((height, width, 3), np.float32)


WORK: dict[str, Callable[[Networks], object]] = {
    "cut_out, 320 px": lambda networks: networks.cut_out(image(320, 320)),
    "stylize, 256 px": lambda networks: networks.stylize(image(*SMALL), STYLE),
    "stylize, 1024 x 820 px": lambda networks: networks.stylize(image(*PAINT), STYLE),
}


@contextlib.contextmanager
def pool_of(folder: Path, *, batching: bool) -> Iterator[tuple[Pool, TritonServer]]:
    """A server with one copy of each network, one thread each, as render's own."""
    operator = Authority(folder / "ca")
    clients = folder / "clients-ca.pem"
    clients.write_bytes(authority().certificate_pem())
    server = TritonServer(folder / "server", authority=operator, client_ca=clients)
    change = (lambda text: text) if batching else without_batching
    with server.start(change):
        path = processors_file(folder, ca=operator.ca, endpoints=[server.address])
        pool = new_pool(processors.load(path), call_seconds=120.0)
        pool.start()
        try:
            asyncio.run(eventually(pool.ready, within=60, every=0.02))
            yield pool, server
        finally:
            pool.close()


def without_batching(config: str) -> str:
    """One request a run, whoever waits."""
    return re.sub(r"dynamic_batching \{.*?\}\n", "", config)


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds."""

    wall: float
    cpu: float


def timed(work: Callable[[Networks], object], networks: Networks, pids: Sequence[int] = ()) -> Cost:
    """pids: who takes part besides this process."""

    def cpu() -> float:
        return time.process_time() + sum(map(cpu_seconds, pids))

    began, spent = time.perf_counter(), cpu()
    work(networks)
    return Cost(time.perf_counter() - began, cpu() - spent)


def overhead(direct: Networks, remote: Networks, pids: Sequence[int], rounds: int) -> list[str]:
    lines = [
        "| network | directly, ms of CPU | through the engine, ms of CPU | CPU | wall |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for name, work in WORK.items():
        pairs = [(timed(work, direct), timed(work, remote, pids)) for _ in range(rounds + 1)][1:]
        here, there = (statistics.median(cost.cpu for cost in column) * 1e3 for column in zip(*pairs, strict=True))
        ratios = [
            statistics.median(b.cpu / a.cpu for a, b in pairs),
            statistics.median(b.wall / a.wall for a, b in pairs),
        ]
        lines.append(f"| {name} | {here:.0f} | {there:.0f} | {ratios[0]:.2f} × | {ratios[1]:.2f} × |")
    return lines


def crowd(networks: Networks, work: Callable[[Networks], object], clients: int, pids: Sequence[int]) -> Cost:
    """Of one inference, where so many threads ask at once."""

    def all_at_once(networks: Networks) -> None:
        with ThreadPoolExecutor(clients) as threads:
            list(threads.map(lambda _: work(networks), range(clients * EACH)))

    whole = timed(all_at_once, networks, pids)
    return Cost(whole.wall / (clients * EACH), whole.cpu / (clients * EACH))


def batching(folder: Path, rounds: int) -> list[str]:
    lines = [
        "| network | at once | single, a second | batched, a second | throughput | CPU of one |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    with (
        pool_of(folder / "single", batching=False) as single,
        pool_of(folder / "batched", batching=True) as batched,
    ):
        contenders = [(PoolNetworks(pool), [server.pid, *server.networks]) for pool, server in (single, batched)]
        for name in ("cut_out, 320 px", "stylize, 256 px"):
            for clients in CLIENTS:
                pairs = [
                    [crowd(networks, WORK[name], clients, pids) for networks, pids in contenders] for _ in range(rounds)
                ]
                one, many = (1 / statistics.median(cost.wall for cost in column) for column in zip(*pairs, strict=True))
                faster = statistics.median(a.wall / b.wall for a, b in pairs)
                cheaper = statistics.median(b.cpu / a.cpu for a, b in pairs)
                lines.append(f"| {name} | {clients} | {one:.2f} | {many:.2f} | {faster:.2f} × | {cheaper:.2f} × |")
    return lines


def report(rounds: int, only: str | None = None) -> str:
    began = time.monotonic()
    here = models.default_dir()
    direct = OnnxNetworks(models.verify(here), models.style_network(), 1, faces=models.face_network(here))
    with tempfile.TemporaryDirectory(prefix="mayfly-bench-") as place:
        folder = Path(place)
        first, second = [], []
        if only != "batching":
            with pool_of(folder / "one", batching=True) as (pool, server):
                first = overhead(direct, PoolNetworks(pool), [server.pid, *server.networks], rounds)
        if only != "overhead":
            second = batching(folder, max(2, rounds // 3))
    return "\n".join(
        [
            "# The engine `triton`",
            "",
            f"Commit {commit()}; {os.cpu_count()} cores ({platform.machine()}), Python {platform.python_version()}, "
            f"onnxruntime {version('onnxruntime')} here; Triton 2.51 with its own. Made by "
            f"`python -m benchmarks.triton` in {time.monotonic() - began:.0f} s on a machine with other work"
            f" (load {os.getloadavg()[0]:.1f} at the "
            "end). Medians of interleaved rounds; only ratios travel. Client and server share the cores; loopback, "
            "mutual TLS.",
            "",
            "## Overhead",
            "",
            "One inference, one thread. CPU of all processes that take part; `×`: through the engine, of directly.",
            "",
            *first,
            "",
            "## Batching",
            "",
            "One copy of each network with one thread; so many clients at once. Ratios: batched, of single.",
            "",
            *second,
            "",
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", choices=("overhead", "batching"), help="this part alone; prints only")
    given = parser.parse_args()
    environment.ensure()
    text = report(2 if given.quick else given.rounds, given.only)
    print(text)
    if not given.quick and not given.only:
        RESULTS.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
