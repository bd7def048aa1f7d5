"""How long pictures take, learnt from those made before, and when one that waits can be expected. No clock, no I/O."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence

from services.render.scene import Scene

_NEW = 0.2  # weight of the newest picture in the average: ten pictures make up for nine tenths of a change


class Durations:
    """Averages that follow: of each scene, and of each cost class for scenes that weren't made yet."""

    def __init__(self) -> None:
        self._scenes: dict[str, float] = {}
        self._classes: dict[str, float] = {}

    def learn(self, scene: Scene, seconds: float) -> None:
        for averages, key in ((self._scenes, scene.id), (self._classes, scene.cost)):
            before = averages.get(key)
            averages[key] = seconds if before is None else before + _NEW * (seconds - before)

    def of(self, scene: Scene) -> float:
        """Seconds of a slot. 0.0 while nothing of its kind was made: then nothing is known, and nothing refused."""
        return self._scenes.get(scene.id, self._classes.get(scene.cost, 0.0))


def starts(slots: int, running: Iterable[float], waiting: Sequence[float]) -> list[float]:
    """Seconds until each of those that wait, in order, can be expected to begin.

    running: seconds that each picture in a slot still takes. waiting: seconds of a slot that each takes.
    """
    free = [0.0] * slots
    for at, seconds in enumerate(sorted(running)[:slots]):
        free[at] = max(0.0, seconds)
    heapq.heapify(free)
    begins = []
    for seconds in waiting:
        begin = heapq.heappop(free)
        begins.append(begin)
        heapq.heappush(free, begin + seconds)
    return begins
