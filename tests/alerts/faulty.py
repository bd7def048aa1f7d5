"""A service of the mesh with faults in it that are off until asked for: the real one, and a page on its ops port.

``GET /fault/NAME/on`` and ``/fault/NAME/off``; which there are stands in ``faults``. Run as a module, with the service
named by MAYFLY_INSTANCE. For faults that only our own code can have: what can be brought about from outside is.
"""

from __future__ import annotations

import asyncio
import importlib
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import tests
from mesh.app import App, main
from mesh.config import MeshSettings
from mesh.lockdown.locking import Lockdown
from mesh.lockdown.needs import Needs

_SECONDS = 10.0


def run(service: str) -> None:
    config = importlib.import_module(f"services.{service}.config")
    real: type[MeshSettings] = getattr(config, f"{service.title()}Settings")

    class Settings(real):  # type: ignore[misc, valid-type]
        def needs(self) -> Needs:
            needs: Needs = super().needs()
            return needs.reading(*map(Path, tests.__path__))

    main(service, "tests.alerts.faulty", Settings)


def build(settings: MeshSettings, lockdown: Lockdown) -> App:
    service = settings.instance.partition("-")[0]
    app: App = importlib.import_module(f"services.{service}.wiring").build(settings, lockdown)
    # Only now: neither gRPC nor the service's code may be imported before the process is locked.
    from mesh.ops import OpsServer
    from tests.alerts import faults

    (ops,) = (component for component in app._components if isinstance(component, OpsServer))
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
    run(os.environ["MAYFLY_INSTANCE"].partition("-")[0])
