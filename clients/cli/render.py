"""`mayfly render`: one photo in, one picture and its receipt out."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from clients.cli import describe, options, resume
from clients.cli.exits import UsageFailed
from clients.cli.output import check_target, emit, write_file
from clients.cli.profile import Profile, resolve
from clients.cli.progress import progress_bars
from mesh.errors import MeshError

if TYPE_CHECKING:
    from clients.sdk.results import Lease, Result

_TAKE_BACK_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Order:
    """What was asked for."""

    photo: Path
    scene_id: str
    caption_id: str
    locale: str
    seed: int
    ttl: float | None
    resume_file: Path | None
    quiet: bool


def render(
    photo: Annotated[Path, typer.Argument(help="JPEG, PNG or WebP.")],
    *,
    scene: Annotated[str, typer.Option(help="Scene id, from `mayfly scenes`.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The picture's file.")],
    caption: Annotated[str, typer.Option(help="Caption id, from the scene's list. Default: its first.")] = "",
    locale: Annotated[str, typer.Option(help="Language of the caption: en, fr, es, de. Default: en.")] = "",
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Another seed, another variation.")] = 0,
    ttl: Annotated[
        float | None, typer.Option(min=1, max=300, help="Seconds that the mesh may hold the photo. Default: 120.")
    ] = None,
    receipt: Annotated[
        Path | None, typer.Option(help="Write the receipt here, and its nonce to FILE.nonce.", metavar="FILE")
    ] = None,
    resume_file: Annotated[
        Path | None,
        typer.Option(help="Keep here what `mayfly collect` needs, until the picture is safe.", metavar="FILE"),
    ] = None,
    as_json: options.Json = False,
    address: options.Address = None,
    ca: options.Ca = None,
    token_file: options.TokenFile = None,
    state: options.State = options.STATE,
) -> None:
    """Turn a photo into a picture; the mesh lets go of the photo, and signs that it did."""
    if not photo.is_file():
        raise UsageFailed(f"{photo}: no such file.")
    check_target(output, never=photo)
    for path in (receipt, resume_file):
        if path is not None:
            check_target(path, never=photo)
    order = Order(photo, scene, caption, locale, seed, ttl, resume_file, as_json)
    result = asyncio.run(_render(resolve(address, ca, token_file, state), order))
    write_file(output, result.picture.data)
    receipt_file = save_receipt(receipt, result)
    if resume_file is not None:
        resume_file.unlink(missing_ok=True)
    if as_json:
        emit(describe.result(result, output, receipt_file) | {"scene_id": scene})
        return
    if result.scrubbed is not None:
        print(describe.removed_sentence(result.scrubbed))
    print(f"Wrote {output} ({result.picture.width} × {result.picture.height}).")
    print(receipt_sentence(result, receipt_file))


def save_receipt(path: Path | None, result: Result) -> Path | None:
    """The receipt, and beside it the nonce, which shows that it is ours. None when there is nothing to write."""
    if path is None or result.receipt is None:
        return None
    write_file(path, result.receipt)
    if result.nonce:
        write_file(path.with_name(f"{path.name}.nonce"), result.nonce.hex().encode() + b"\n", private=True)
    return path


def receipt_sentence(result: Result, receipt_file: Path | None) -> str:
    """Whether the mesh has let go, as far as we know."""
    if result.receipt is None:
        return f"The connection broke before the receipt came; get it with `mayfly receipt {result.photo_id}`."
    where = f" Its receipt is {receipt_file}." if receipt_file is not None else ""
    return f"The mesh has let go of the photo {result.photo_id}.{where}"


async def _render(profile: Profile, order: Order) -> Result:
    leases: list[Lease] = []

    def accepted(lease: Lease) -> None:
        leases.append(lease)
        if order.resume_file is not None:
            resume.save(order.resume_file, lease)

    async with profile.connect() as client:
        try:
            with progress_bars(quiet=order.quiet) as on_progress:
                return await client.render(
                    order.photo,
                    order.scene_id,
                    caption_id=order.caption_id,
                    locale=order.locale,
                    seed=order.seed,
                    ttl=order.ttl,
                    on_progress=on_progress,
                    on_accepted=accepted,
                )
        except asyncio.CancelledError:
            # Ctrl-C, and nobody could collect the picture: then nothing of it should wait there.
            if leases and order.resume_file is None:
                with contextlib.suppress(MeshError, TimeoutError):
                    await asyncio.wait_for(client.revoke(leases[0].photo_id), _TAKE_BACK_SECONDS)
            raise
