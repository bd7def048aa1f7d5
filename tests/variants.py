"""A service of the mesh that a test has changed: the real one, which may also read the tests' files.

A variant is a module that is run in the service's place (``LocalMesh(modules=…)``) and has a ``build`` of its own.
"""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tests
from mesh.app import App, main
from mesh.config import MeshSettings
from mesh.lockdown.locking import Lockdown
from mesh.lockdown.needs import Needs

if TYPE_CHECKING:
    from mesh.ops import OpsServer


def run(wiring: str) -> None:
    """The service that MAYFLY_INSTANCE names, built by the module ``wiring``."""
    service = _service(os.environ["MAYFLY_INSTANCE"])
    config = importlib.import_module(f"services.{service}.config")
    real: type[MeshSettings] = getattr(config, f"{service.title()}Settings")

    class Settings(real):  # type: ignore[misc, valid-type]
        def needs(self) -> Needs:
            needs: Needs = super().needs()
            return needs.reading(*map(Path, tests.__path__))

    main(service, wiring, Settings)


def built(settings: MeshSettings, lockdown: Lockdown) -> tuple[str, App, OpsServer]:
    """The service's name, the real service, and its ops port."""
    service = _service(settings.instance)
    app: App = importlib.import_module(f"services.{service}.wiring").build(settings, lockdown)
    # Only now: neither gRPC nor the service's code may be imported before the process is locked.
    from mesh.ops import OpsServer

    components: list[Any] = app._components
    (ops,) = (component for component in components if isinstance(component, OpsServer))
    return service, app, ops


def _service(instance: str) -> str:
    return instance.partition("-")[0]
