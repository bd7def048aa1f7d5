"""A mesh with all who watch it: an auditor, Prometheus and Alertmanager, each a process on a port of its own."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from clients.local import auditing
from clients.local.environment import SERVICES, service_of
from clients.local.launcher import VALKEY
from clients.local.mesh import LocalMesh
from clients.observe.alertmanager import Alertmanager
from clients.observe.auditor import INTERVAL, Auditor, is_possible
from clients.observe.program import find
from clients.observe.prometheus import Prometheus

HASTY = {service: {"MAYFLY_DRAIN_SECONDS": "2"} for service in SERVICES}
"""For the mesh: whoever has seen enough does not wait for photos that are nobody's."""
_AUDITOR_JOB = "auditor"


@dataclass(frozen=True, slots=True)
class Stack:
    """auditor: None where nobody may read other processes' memory; then there are no canaries."""

    mesh: LocalMesh
    prometheus: Prometheus
    alertmanager: Alertmanager
    auditor: Auditor | None

    def console(self, name: str) -> str:
        """The address of a console, by its file's name without its ending."""
        return f"{self.prometheus.url}/consoles/{name}.html"


def require() -> None:
    """Raises ConfigError, one line, when a program is not installed; before anything is started in vain."""
    for package in ("prometheus", "prometheus-alertmanager"):
        find(package, package)


@contextlib.contextmanager
def watched(
    mesh: LocalMesh,
    folder: Path,
    *,
    canaries: int = 15,
    interval: int = INTERVAL,
    on_progress: Callable[[str], None] = lambda _: None,
) -> Iterator[Stack]:
    """Everything is ready inside, and what was started here is ended afterwards, last started first.

    mesh: one that is up. folder: an existing one. canaries: of one audit. interval: seconds between audits.
    Raises ConfigError as ``require``, StartFailed when a program does not start.
    """
    with contextlib.ExitStack() as started:
        auditor = None
        if is_possible():
            env = started.enter_context(auditing.environment(mesh, canaries))
            auditor = Auditor(_made(folder / "auditor"), env, interval=interval)
        alertmanager = Alertmanager(_made(folder / "alertmanager"))
        prometheus = Prometheus(_made(folder / "prometheus"), targets(mesh, auditor), alertmanager=alertmanager.address)
        # The auditor begins at once: whoever sees its first audit must be there.
        for name, program in (("alertmanager", alertmanager), ("prometheus", prometheus), ("auditor", auditor)):
            if program is not None:
                on_progress(name)
                started.enter_context(program)
        yield Stack(mesh, prometheus, alertmanager, auditor)


def targets(mesh: LocalMesh, auditor: Auditor | None) -> Mapping[str, list[str]]:
    """Job -> the ops ports of its processes."""
    found: dict[str, list[str]] = {}
    for name in mesh.processes:
        if name != VALKEY:
            found.setdefault(service_of(name), []).append(mesh.ops_address(name))
    return found if auditor is None else {**found, _AUDITOR_JOB: [auditor.address]}


def _made(folder: Path) -> Path:
    folder.mkdir(mode=0o700)
    return folder
