"""A small store of painted worlds. They are made from scene files and a number, never from a photo."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable

from services.render.steps.workspace import Painted

MOST = 8  # worlds kept; one is about 9 MB at 1024 x 1280


class PaintedStore:
    """Least recently used goes first. Called from several worker threads; two may paint the same world, once."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._worlds: OrderedDict[tuple[str, int, int, int], Painted] = OrderedDict()
        self._lock = threading.Lock()

    def __call__(self, key: tuple[str, int, int, int], paint: Callable[[], Painted]) -> Painted:
        with self._lock:
            world = self._worlds.get(key)
            if world is not None:
                self._worlds.move_to_end(key)
                return world
        world = paint()
        with self._lock:
            self._worlds[key] = world
            self._worlds.move_to_end(key)
            while len(self._worlds) > self._most:
                self._worlds.popitem(last=False)
        return world
