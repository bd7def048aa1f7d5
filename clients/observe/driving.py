"""What a person sees who observes a mesh: where everything is, and which photo is on its way."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import datetime

from rich.console import Console
from rich.table import Table

from clients.local import auditing, ops
from clients.observe import deployed
from clients.observe.stack import Stack
from clients.observe.workload import Workload
from clients.sdk.client import MayflyClient
from mesh.errors import ConfigError

_CONSOLES = {
    "where-are-the-photos-now": "Where are the photos now",
    "promises": "Promises",
    "mesh": "Mesh",
    "render": "Render",
}
_EVIDENCE = "/evidence"
_RENEW_SECONDS = 1200.0  # a third of what the auditor's tokens last
_AGAIN_SECONDS = 30.0


async def drive(stack: Stack, data: bytes, console: Console | None = None) -> None:
    """Prints the addresses and sends photos until it is cancelled. data: a photo."""
    console = console or Console()
    console.print(addresses(stack))
    if stack.auditor is None:
        console.print("No auditor: reading other processes' memory takes root, or user namespaces. No canaries.")
    console.print("Sending a photo every few seconds. Ctrl-C stops everything that was started here.\n")

    def tell(ending: str, scene: str) -> None:
        console.print(f"[dim]{datetime.now():%H:%M:%S}[/]  {scene:<28} {ending}")

    async with MayflyClient(stack.mesh.gateway_address, stack.mesh.ca_file, stack.mesh.token) as client:
        workload = Workload(client, await client.scenes(), data)
        renewing = asyncio.create_task(_renew(stack, console))
        try:
            await workload.forever(tell)
        finally:
            renewing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await renewing


def addresses(stack: Stack) -> Table:
    """Everything that a browser can open, and what only Grafana can."""
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2))
    for name, title in _CONSOLES.items():
        table.add_row(title, _link(f"{stack.console(name)}?span=5m"))
    table.add_row("Prometheus", _link(stack.prometheus.url))
    table.add_row("Alerts", _link(f"{stack.prometheus.url}/alerts"))
    table.add_row("Alertmanager", _link(stack.alertmanager.url))
    for purge in stack.mesh.purges:
        where = stack.mesh.ops_address(purge)
        if ops.get(where, _EVIDENCE) is not None:
            table.add_row("Evidence", _link(f"http://{where}{_EVIDENCE}"))
    table.add_row("For Grafana", str(deployed.GRAFANA))
    return table


def _link(url: str) -> str:
    return f"[link={url}]{url}[/link]"


async def _renew(stack: Stack, console: Console) -> None:
    """The auditor reads its users' tokens anew for each canary; they don't last. A failure is said, and tried again."""
    pause = _RENEW_SECONDS
    while stack.auditor is not None:
        await asyncio.sleep(pause)
        try:
            auditing.renew_tokens(stack.mesh, stack.auditor.token_file)
        except (OSError, ConfigError) as error:
            console.print(f"The auditor's tokens could not be renewed: {error}")
            pause = _AGAIN_SECONDS
        else:
            pause = _RENEW_SECONDS
