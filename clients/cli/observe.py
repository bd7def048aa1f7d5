"""`mayfly observe`: a mesh of its own with all who watch it, and a workload; or a check that they all see something."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from clients.cli import options
from clients.cli.exits import ExitCode, UsageFailed
from clients.cli.output import emit

if TYPE_CHECKING:
    from clients.observe.stack import Stack

Check = Annotated[
    bool, typer.Option("--check", help="Look at every panel and alert, cause one, say what was found, and stop.")
]


def observe(check: Check = False, as_json: options.Json = False, state: options.State = options.STATE) -> None:
    """Start a mesh of its own with Prometheus, Alertmanager and an auditor, and send photos through it until Ctrl-C.

    Needs Debian's prometheus and prometheus-alertmanager. Exit status 7 if --check finds a panel that shows nothing, an
    alert that is not evaluated, or one that doesn't fire.
    """
    from clients.local import auditing  # noqa: PLC0415 - imports the local mesh
    from clients.observe import workload  # noqa: PLC0415 - imports the SDK
    from clients.observe.stack import require  # noqa: PLC0415

    if as_json and not check:
        raise UsageFailed("--json goes with --check.")
    if not auditing.may_read_others():
        from clients.cli.namespace import start_over  # noqa: PLC0415

        start_over()
        if check:
            raise UsageFailed("An auditor takes root, or user namespaces, which this system bars.")
    require()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that `kill` tidies up as Ctrl-C does
    data = workload.photo()
    with _stack(state, check=check, quiet=as_json) as stack:
        if not check:
            _drive(stack, data)
            return
        found = _checked(stack, data, as_json=as_json)
    raise typer.Exit(ExitCode.OK if found else ExitCode.NOT_VERIFIED)


def _drive(stack: Stack, data: bytes) -> None:
    """Ctrl-C is how it is meant to end."""
    from clients.observe.driving import drive  # noqa: PLC0415 - rich is slow to import

    try:
        asyncio.run(drive(stack, data))
    except KeyboardInterrupt:
        print("\nStopping what was started.", file=sys.stderr)


def _checked(stack: Stack, data: bytes, *, as_json: bool) -> bool:
    from clients.observe.check import check  # noqa: PLC0415

    report = asyncio.run(check(stack, data, lambda what: _say(f"{what} …", quiet=as_json)))
    if as_json:
        emit(report.to_value())
        return report.ok
    for fault in report.faults:
        print(fault, file=sys.stderr)
    print(report.line())
    return report.ok


@contextmanager
def _stack(state: Path, *, check: bool, quiet: bool) -> Iterator[Stack]:
    """Beside any mesh that is up, in a folder that goes with it."""
    from clients.demo.folder import demo_mesh  # noqa: PLC0415
    from clients.observe.check import CANARIES, OVERRIDES  # noqa: PLC0415
    from clients.observe.stack import HASTY, watched  # noqa: PLC0415

    canaries = {"canaries": CANARIES} if check else {}
    with demo_mesh(state, OVERRIDES if check else HASTY) as mesh:
        mesh.start(on_progress=lambda name: _say(f"starting {name} …", quiet=quiet))
        folder = mesh.state.root / "observe"
        folder.mkdir(mode=0o700)
        with watched(
            mesh, folder, on_progress=lambda name: _say(f"starting {name} …", quiet=quiet), **canaries
        ) as stack:
            yield stack


def _say(what: str, *, quiet: bool) -> None:
    if sys.stderr.isatty() and not quiet:
        print(what, file=sys.stderr)
