"""`mayfly scenes`: what can be made."""

from __future__ import annotations

import asyncio
import re
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from clients.cli import options
from clients.cli.exits import UsageFailed
from clients.cli.output import check_target, emit, write_file
from clients.cli.profile import Profile, resolve

if TYPE_CHECKING:
    from clients.sdk.results import Scene

_ENDINGS = {"image/jpeg": ".jpg", "image/webp": ".webp"}
_ID = re.compile(r"[a-z][a-z0-9_]{0,63}")
"""What becomes a file's name here: a scene's id, if it looks like one."""


def scenes(
    *,
    locale: Annotated[str, typer.Option(help="Language of titles and captions: en, fr, es, de.")] = "",
    previews: Annotated[
        Path | None,
        typer.Option(help="A folder for small pictures of the scenes; made if need be.", show_default=False),
    ] = None,
    as_json: options.Json = False,
    address: options.Address = None,
    ca: options.Ca = None,
    token_file: options.TokenFile = None,
    state: options.State = options.STATE,
) -> None:
    """List the scenes, and the captions that they can carry."""
    found = asyncio.run(_scenes(resolve(address, ca, token_file, state), locale, with_previews=previews is not None))
    files = _write_previews(found, previews) if previews is not None else {}
    if as_json:
        emit({"scenes": [_as_json(scene, files) for scene in found]})
        return
    _print_table(found)


async def _scenes(profile: Profile, locale: str, *, with_previews: bool) -> list[Scene]:
    async with profile.connect() as client:
        return await client.scenes(locale, with_previews=with_previews)


def _write_previews(found: list[Scene], folder: Path) -> dict[str, Path]:
    """Scene id -> file, of those that have one."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageFailed(f"{folder} can't be made: {error.strerror}.") from None
    files = {}
    for scene in found:
        if scene.preview and (ending := _ENDINGS.get(scene.preview_media_type)) and _ID.fullmatch(scene.scene_id):
            files[scene.scene_id] = folder / f"{scene.scene_id}{ending}"
            check_target(files[scene.scene_id])
            write_file(files[scene.scene_id], scene.preview)
    return files


def _as_json(scene: Scene, files: dict[str, Path]) -> dict[str, object]:
    fields = {name: value for name, value in asdict(scene).items() if not name.startswith("preview")}
    return fields | {"preview": str(files[scene.scene_id]) if scene.scene_id in files else None}


def _print_table(found: list[Scene]) -> None:
    from rich.console import Console  # noqa: PLC0415 - slow to import
    from rich.table import Table  # noqa: PLC0415

    table = Table("Scene", "Kind", "Title", "Cost", "Photo from", "Captions", box=None, pad_edge=False)
    for scene in found:
        captions = ", ".join(f"{key} ({text})" for key, text in scene.captions.items())
        table.add_row(scene.scene_id, scene.kind, scene.title, scene.cost, f"{scene.min_side} px", captions)
    Console().print(table)
