"""`mayfly receipt`: the receipt of a photo that has ended."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Annotated

import typer

from clients.cli import options
from clients.cli.output import check_target, emit, write_file
from clients.cli.profile import Profile, resolve


def receipt(
    photo_id: Annotated[str, typer.Argument(help="The photo, as `mayfly render` named it.")],
    *,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Write it here. Default: stdout.")] = None,
    wait: Annotated[bool, typer.Option(help="Wait, up to 5 s, until the log includes it.")] = True,
    as_json: options.Json = False,
    address: options.Address = None,
    ca: options.Ca = None,
    token_file: options.TokenFile = None,
    state: options.State = options.STATE,
) -> None:
    """Get the receipt, within an hour after the photo's end, with the log's proof if it is there."""
    if output is not None:
        check_target(output)
    bundle = asyncio.run(_receipt(resolve(address, ca, token_file, state), photo_id, wait))
    if output is not None:
        write_file(output, bundle)
        if as_json:
            emit({"photo_id": photo_id, "receipt_file": str(output)})
        else:
            print(f"Wrote {output}. Check it with `mayfly verify {output}`.")
        return
    # A receipt is one JSON object already.
    sys.stdout.write(bundle.decode() + "\n")


async def _receipt(profile: Profile, photo_id: str, wait: bool) -> bytes:
    async with profile.connect() as client:
        return await client.get_receipt(photo_id, wait_for_inclusion=wait)
