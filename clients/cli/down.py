"""`mayfly down`: stops the mesh on this machine."""

from __future__ import annotations

from clients.cli import options
from clients.cli.output import emit


def down(as_json: options.Json = False, state: options.State = options.STATE) -> None:
    """Stop the mesh on this machine; photos in flight have a few seconds to finish."""
    from clients.local.mesh import LocalMesh  # noqa: PLC0415 - imports cryptography and gRPC

    mesh = LocalMesh(state)
    names = list(mesh.processes)
    killed = mesh.stop()
    if as_json:
        emit({"stopped": names, "killed": killed})
    elif not names:
        print(f"No mesh was up in {state}.")
    else:
        print("The mesh is down." + (f" Had to be killed: {', '.join(killed)}." if killed else ""))
