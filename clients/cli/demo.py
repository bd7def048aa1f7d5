"""`mayfly demo`: the whole trip of one photo, shown."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from clients.cli import options
from clients.cli.exits import UsageFailed


def demo(
    photo: Annotated[
        Path | None, typer.Argument(help="JPEG, PNG or WebP. Default: a sample portrait with planted metadata.")
    ] = None,
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for the pictures and receipts.")] = Path("out"),
    as_json: options.Json = False,
    state: options.State = options.STATE,
) -> None:
    """Start a mesh of its own, render two scenes of one photo, show what became of it, and stop."""
    from clients.demo.demo import run  # noqa: PLC0415 - imports the SDK and the local mesh

    if photo is not None and not photo.is_file():
        raise UsageFailed(f"{photo}: no such file.")
    run(photo, output, state, as_json=as_json)
