"""What traces cost: a mesh that makes none beside one that sends all of them, and each call into tracing on its own.

python -m benchmarks.tracing            # about two minutes; writes benchmarks/results/tracing.md
python -m benchmarks.tracing --quick    # fewer rounds; prints only
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import statistics
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

from benchmarks import rig, sample
from benchmarks.commit import commit
from clients.local.environment import SERVICES
from mesh.testing.collector import Collector, Recorded, tree
from mesh.testing.wait import eventually
from mesh.tracing import passing, spans

RESULTS = Path(__file__).parent / "results" / "tracing.md"
_SETTLING = 0.03  # seconds after the receipt in which custody reports and log entries still cost CPU
_TIMES = 100_000
_REAL_SCENE = "milestone"
Costs = dict[str, list[float]]


async def through_meshes(rounds: int) -> tuple[Costs, int]:
    """CPU seconds of the services for one photo, by mesh, in turns; and how many spans and events a photo makes."""
    photo = sample.photo_12mp()
    costs: Costs = {"off": [], "otlp": []}
    with Collector() as collector:
        told = dict.fromkeys(SERVICES, collector.settings)
        with rig.running_mesh() as off, rig.running_mesh(told) as on:
            for mesh in (off, on):
                await rig.warm_up(mesh, photo, 8)
            async with rig.client_of(off) as plain, rig.client_of(on) as traced:
                for turn in range(rounds):
                    pairs = [("off", off, plain), ("otlp", on, traced)]
                    for name, mesh, client in pairs if turn % 2 else reversed(pairs):
                        before = rig.cpu(mesh)
                        await rig.trip(client, rig.Upload(photo))
                        await asyncio.sleep(_SETTLING)
                        after = rig.cpu(mesh)
                        costs[name].append(sum(after[name] - before[name] for name in SERVICES))
        photos = [trace for trace in collector.traces().values() if any(span.name == "journey" for span in trace)]
    return costs, round(statistics.median(sum(1 + len(span.events) for span in trace) for trace in photos))


async def one_trace() -> list[Recorded]:
    """Of a real picture."""
    photo = sample.photo_12mp()
    with Collector() as collector:
        told = {service: dict(collector.settings) for service in SERVICES}
        told["render"]["MAYFLY_RENDER_ENGINE"] = "onnx"
        with rig.running_mesh(told) as mesh:
            async with rig.client_of(mesh) as client:
                scene = next(scene for scene in await client.scenes() if scene.kind == _REAL_SCENE)
                result = await client.render(photo, scene.scene_id)
            whole = {"journey", "encode", "mayfly.purge.v1.RegistryService/SettleLease"}

            def arrived() -> list[Recorded]:
                trace = collector.trace_of(result.photo_id)
                names = {span.name for span in trace if span.parent or span.service == "gateway"}
                return trace if whole <= names and any(not span.parent for span in trace) else []

            return await eventually(arrived, within=20, every=0.1)


def nanoseconds() -> dict[str, float]:
    """Of each call, while tracing is off."""

    def child() -> None:
        with spans.span("step"):
            pass

    calls: dict[str, Callable[[], object]] = {
        "a span": child,
        "an event": lambda: spans.event("seal"),
        "a value": lambda: spans.note(outcome="ok"),
        "what a call carries": passing.outgoing,
    }
    return {name: _each(work) for name, work in calls.items()}


def _each(work: Callable[[], object]) -> float:
    best = []
    for _ in range(5):
        began = time.perf_counter()
        for _ in range(_TIMES):
            work()
        best.append((time.perf_counter() - began) / _TIMES)
    return min(best) * 1e9


def report(costs: Costs, parts: int, each: dict[str, float], trace: list[Recorded]) -> str:
    off, on = (statistics.median(costs[name]) * 1e3 for name in ("off", "otlp"))
    ratio = statistics.median(b / a for a, b in zip(costs["off"], costs["otlp"], strict=True))
    most = parts * max(each.values()) / 1e6
    lines = [
        "# Traces: what they cost, and one of them\n",
        f"Commit {commit()}; {os.cpu_count()} cores ({platform.machine()}), Python {platform.python_version()}, "
        f"opentelemetry-sdk {version('opentelemetry-sdk')}; made by `python -m benchmarks.tracing` on a machine with "
        f"other work (load {os.getloadavg()[0]:.1f} at the end). Only ratios travel.\n",
        "## A photo of 4 MB through a mesh with the engine that does nothing\n",
        f"CPU of the four services, medians of {len(costs['off'])} rounds in turns.\n",
        "| tracing | CPU, ms | beside off |",
        "| --- | ---: | ---: |",
        f"| off | {off:.1f} | 1 |",
        f"| otlp, every photo | {on:.1f} | {ratio:.2f} × |",
        "",
        f"A photo makes {parts} spans and events. While tracing is off, each costs what follows, all of them "
        f"together {most:.3f} ms at most: {most / off:.2%} of that photo's CPU.\n",
        "| call | ns while off |",
        "| --- | ---: |",
        *(f"| {name} | {cost:.0f} |" for name, cost in each.items()),
        "",
        "## One trace\n",
        f"A milestone scene, real engine; milliseconds from the trace's begin. {len(trace)} spans.\n",
        "```",
        *tree(trace),
        "```",
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--quick", action="store_true", help="fewer rounds; prints, writes nothing")
    given = parser.parse_args()
    each = nanoseconds()
    costs, parts = asyncio.run(through_meshes(6 if given.quick else given.rounds))
    text = report(costs, parts, each, asyncio.run(one_trace()))
    print(text)
    if not given.quick:
        RESULTS.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
