"""`mayfly scenes`: what can be made."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from clients.cli import options
from clients.cli.output import emit
from clients.cli.profile import Profile, resolve

if TYPE_CHECKING:
    from clients.sdk.results import Scene


def scenes(
    *,
    locale: Annotated[str, typer.Option(help="Language of titles and captions: en, fr, es, de.")] = "",
    as_json: options.Json = False,
    address: options.Address = None,
    ca: options.Ca = None,
    token_file: options.TokenFile = None,
    state: options.State = options.STATE,
) -> None:
    """List the scenes, and the captions that they can carry."""
    found = asyncio.run(_scenes(resolve(address, ca, token_file, state), locale))
    if as_json:
        emit({"scenes": [asdict(scene) for scene in found]})
        return
    _print_table(found)


async def _scenes(profile: Profile, locale: str) -> list[Scene]:
    async with profile.connect() as client:
        return await client.scenes(locale)


def _print_table(found: list[Scene]) -> None:
    from rich.console import Console  # noqa: PLC0415 - slow to import
    from rich.table import Table  # noqa: PLC0415

    table = Table("Scene", "Kind", "Title", "Captions", box=None, pad_edge=False)
    for scene in found:
        captions = ", ".join(f"{key} ({text})" for key, text in scene.captions.items())
        table.add_row(scene.scene_id, scene.kind, scene.title, captions)
    Console().print(table)
