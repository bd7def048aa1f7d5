"""A process that renders with the embedded engine of the checkout that it is started in, and says what that took.

Reads scene ids, one on each line; answers each with a line of JSON: CPU seconds of the whole, of each step and of the
networks, wall seconds, and the largest resident set so far, MiB.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from services.render import models
from services.render.catalogue import Catalogue
from services.render.engines.onnx import OnnxEngine
from services.render.picture import Job


class Timed:
    """The engine's networks; seconds: of this thread, within them."""

    def __init__(self, networks: Any) -> None:
        self._networks = networks
        self.seconds = 0.0

    def __getattr__(self, name: str) -> Any:
        network = getattr(self._networks, name)

        def run(*given: Any) -> Any:
            began = time.thread_time()
            try:
                return network(*given)
            finally:
                self.seconds += time.thread_time() - began

        return run


def peak() -> float:
    """MiB. Of this program alone: what getrusage(2) says begins with its parent's."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def main() -> None:
    photo, width, height = Path(sys.argv[1]).read_bytes(), int(sys.argv[2]), int(sys.argv[3])
    engine = OnnxEngine(model_dir=models.default_dir(), catalogue=Catalogue.load(), intra_op_threads=1)
    engine.start()
    tools: Any = engine._tools
    timed = Timed(tools.networks)
    engine._tools = replace(tools, networks=timed)
    for line in sys.stdin:
        marks: list[tuple[str, float]] = []
        timed.seconds = 0.0
        job = Job([photo], "jpeg", width, height, 1, line.strip())
        began, wall = time.thread_time(), time.perf_counter()
        engine.render(job, lambda step, at: marks.append((step, time.thread_time())), lambda: False)  # noqa: B023
        ended = time.thread_time()
        steps: dict[str, float] = {}
        for (step, at), (_, until) in zip(marks, [*marks[1:], ("", ended)], strict=True):
            steps[step] = steps.get(step, 0.0) + until - at
        answer = {"cpu": ended - began, "wall": time.perf_counter() - wall, "steps": steps}
        print(json.dumps({**answer, "networks": timed.seconds, "peak": peak()}), flush=True)


if __name__ == "__main__":
    main()
