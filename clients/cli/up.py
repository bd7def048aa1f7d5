"""`mayfly up`: starts the mesh on this machine."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from clients.cli import options
from clients.cli.output import emit

Purges = Annotated[int, typer.Option(min=1, max=16, help="Replicas of purge, each with a log of its own.")]


def up(purges: Purges = 1, as_json: options.Json = False, state: options.State = options.STATE) -> None:
    """Start the mesh on this machine: Valkey and the four services, with certificates of their own."""
    from clients.local.mesh import AlreadyUp, LocalMesh  # noqa: PLC0415 - imports cryptography and gRPC

    mesh = LocalMesh(state, purges=purges)
    show = sys.stderr.isatty() and not as_json
    try:
        mesh.start(on_progress=lambda name: print(f"Starting {name} …", file=sys.stderr) if show else None)
        was_up = False
    except AlreadyUp:
        was_up = True
    if as_json:
        emit({"address": mesh.gateway_address, "ca": str(mesh.ca_file), "already_up": was_up})
        return
    print(f"The mesh {'was up already' if was_up else 'is up'} at {mesh.gateway_address}.")
    print(f"Where the photos are, for people: http://{mesh.ops_address('purge')}/evidence")
    print("Next: mayfly scenes · mayfly render PHOTO --scene ID -o OUT · mayfly status · mayfly down")
