"""Options that several commands take, each declared once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from clients.local.state import DEFAULT

_CONNECTION = "Connection (default: the mesh of the state folder)"

Address = Annotated[
    str | None,
    typer.Option(envvar="MAYFLY_ADDRESS", metavar="HOST:PORT", help="The gateway.", rich_help_panel=_CONNECTION),
]
Ca = Annotated[
    Path | None,
    typer.Option(
        envvar="MAYFLY_CA",
        help="CA to trust, PEM. Default with --address: the system's.",
        rich_help_panel=_CONNECTION,
    ),
]
TokenFile = Annotated[
    Path | None,
    typer.Option(
        envvar="MAYFLY_TOKEN_FILE",
        help="File with the user's token; it is never an argument, since others can read those.",
        rich_help_panel=_CONNECTION,
    ),
]
State = Annotated[
    Path,
    typer.Option(envvar="MAYFLY_STATE", help="State folder of a mesh on this machine.", rich_help_panel=_CONNECTION),
]
Json = Annotated[bool, typer.Option("--json", help="One JSON object on stdout, and nothing else.")]

STATE = DEFAULT
