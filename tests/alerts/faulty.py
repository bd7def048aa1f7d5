"""A service of the mesh with faults in it that are off until asked for: the real one, and a page on its ops port.

``GET /fault/NAME/on`` and ``/fault/NAME/off``; which there are stands in ``faults``. Run as a module, with the service
named by MAYFLY_INSTANCE. For faults that only our own code can have: what can be brought about from outside is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from mesh.app import App
from mesh.config import MeshSettings
from mesh.lockdown.locking import Lockdown
from tests import variants

_SECONDS = 10.0


def build(settings: MeshSettings, lockdown: Lockdown) -> App:
    service, app, ops = variants.built(settings, lockdown)
    from tests.alerts import faults  # imports gRPC

    ops.mount("/fault/", Switchboard(faults.of(service, app, lockdown)))
    return app


class Switchboard:
    """A WSGI application. switches: name → what is awaited with True for on, with False for off."""

    def __init__(self, switches: Mapping[str, Any]) -> None:
        self._switches = switches
        self._loop = asyncio.get_running_loop()

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        name, _, wanted = environ["PATH_INFO"].removeprefix("/fault/").rpartition("/")
        work = self._switches[name](wanted == "on")
        asyncio.run_coroutine_threadsafe(work, self._loop).result(_SECONDS)
        start("200 OK", [("Content-Type", "text/plain")])
        return [b"done\n"]


if __name__ == "__main__":
    variants.run("tests.alerts.faulty")
