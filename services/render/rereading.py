"""New scenes without a stop: on SIGHUP the folders are read again, and either all of it is taken or none."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Mapping

from mesh.errors import ConfigError
from mesh.log import get_logger
from services.render.catalogue import Catalogue
from services.render.metrics import RenderMetrics
from services.render.scene_file import SceneError

_log = get_logger()


class Rereading:
    """A component. served: what everybody reads; load: reads the folders, blocks, raises ConfigError."""

    def __init__(self, served: Catalogue, load: Callable[[], Catalogue], metrics: RenderMetrics) -> None:
        self._served = served
        self._load = load
        self._metrics = metrics
        self._refused = ""
        self._task: asyncio.Task[None] | None = None
        self._again = False
        self._count()

    async def start(self) -> None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self.on_hangup)

    async def stop(self) -> None:
        asyncio.get_running_loop().remove_signal_handler(signal.SIGHUP)
        if self._task is not None:
            await asyncio.wait([self._task])

    def page(self) -> Mapping[str, object]:
        """For /readyz: how many scenes are served, and what kept newer ones from it ("": nothing)."""
        return {"served": len(self._served.scenes()), "refused": self._refused}

    def on_hangup(self) -> None:
        """One that comes while the folders are being read has them read once more: it may be about a later change."""
        self._again = True
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._reread())

    async def _reread(self) -> None:
        while self._again:
            self._again = False
            try:
                self._served.take(await asyncio.to_thread(self._load))
            except ConfigError as error:
                self._refused = str(error)
                where = f"{error.file}: {error.field}" if isinstance(error, SceneError) else "none"
                _log.error("scenes_refused", fact=where)
            else:
                self._refused = ""
                _log.info("scenes_reread", count=len(self._served.scenes()))
            self._count()

    def _count(self) -> None:
        self._metrics.scenes.set(len(self._served.scenes()))
        self._metrics.scenes_refused.set(bool(self._refused))
