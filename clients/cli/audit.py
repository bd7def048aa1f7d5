"""`mayfly audit`: canaries through the mesh of this machine, a hunt for what is left of them, and a table of it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from clients.cli import options
from clients.cli.exits import ExitCode, UsageFailed
from clients.cli.output import emit
from clients.cli.progress import audit_bar

if TYPE_CHECKING:
    from clients.local.mesh import LocalMesh

Canaries = Annotated[int, typer.Option(min=1, max=10_000, help="How many, spread over all ways of ending.")]
_CODES = {"clean": ExitCode.OK, "residue": ExitCode.RESIDUE, "incomplete": ExitCode.AGAIN}


def audit(canaries: Canaries = 100, as_json: options.Json = False, state: options.State = options.STATE) -> None:
    """Send synthetic photos through the mesh in every way a photo can end, and search for what is left of them.

    Searches the memory of every process, Redis, files, logs and metrics; audits the mesh that is up, else one that it
    starts and stops. Exit status 9 if a byte is found, 5 if something could not be searched.
    """
    from clients.local import auditing  # noqa: PLC0415 - imports the local mesh

    if not auditing.may_read_others():
        _start_over(state)
    with _mesh(state, quiet=as_json) as mesh, audit_bar(quiet=as_json) as progress:
        report = auditing.audit(mesh, canaries=canaries, settings=_settings(), progress=progress)
    if as_json:
        emit(report)
    else:
        from clients.cli.audit_table import show  # noqa: PLC0415 - rich is slow to import

        show(report)
    raise typer.Exit(_CODES[str(report["outcome"])])


def _start_over(state: Path) -> None:
    """In a namespace where we may read what we start. Raises UsageFailed where that doesn't help."""
    from clients.cli.namespace import start_over  # noqa: PLC0415
    from clients.local.processes import is_alive  # noqa: PLC0415
    from clients.local.state import StateFolder  # noqa: PLC0415

    record = StateFolder(state).read()
    if record is not None and any(map(is_alive, record.processes.values())):
        raise UsageFailed("Reading the memory of a mesh that is up takes root; or run `mayfly down` first.")
    start_over()
    raise UsageFailed("Reading the memory of other processes takes root, or user namespaces, which this system bars.")


def _settings() -> dict[str, str]:
    """What a person may set for the auditor, as for a service of `mayfly up`."""
    return {name: value for name, value in os.environ.items() if name.startswith("MAYFLY_AUDITOR_")}


@contextmanager
def _mesh(state: Path, *, quiet: bool) -> Iterator[LocalMesh]:
    """The one that is up, else one that ends with the audit."""
    from clients.local.mesh import AlreadyUp, LocalMesh  # noqa: PLC0415

    mesh = LocalMesh(state)
    show = sys.stderr.isatty() and not quiet
    try:
        mesh.start(on_progress=lambda name: print(f"Starting {name} …", file=sys.stderr) if show else None)
    except AlreadyUp:
        yield mesh
        return
    try:
        yield mesh
    finally:
        mesh.stop()
