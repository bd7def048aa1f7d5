"""`mayfly collect`: the picture of a render whose connection broke."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from clients.cli import describe, options, resume
from clients.cli.exits import UsageFailed
from clients.cli.output import check_target, emit, write_file
from clients.cli.profile import Profile, resolve
from clients.cli.render import receipt_sentence, save_receipt

if TYPE_CHECKING:
    from clients.sdk.results import Lease, Result


def collect(
    photo_id: Annotated[str, typer.Argument(help="From the resume file, if it is not given.")] = "",
    *,
    resume_file: Annotated[Path, typer.Option(help="What `mayfly render --resume-file` wrote.", metavar="FILE")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The picture's file.")],
    receipt: Annotated[Path | None, typer.Option(help="Write the receipt here.", metavar="FILE")] = None,
    as_json: options.Json = False,
    address: options.Address = None,
    ca: options.Ca = None,
    token_file: options.TokenFile = None,
    state: options.State = options.STATE,
) -> None:
    """Get a finished picture that is waiting for you; once."""
    lease = resume.load(resume_file)
    if photo_id and photo_id != lease.photo_id:
        raise UsageFailed(f"{resume_file} is of another photo.")
    for path in (output, *([receipt] if receipt is not None else [])):
        check_target(path, never=resume_file)
    result = asyncio.run(_collect(resolve(address, ca, token_file, state), lease, output))
    receipt_file = save_receipt(receipt, result)
    resume_file.unlink(missing_ok=True)
    if as_json:
        emit(describe.result(result, output, receipt_file))
        return
    print(f"Wrote {output} ({result.picture.width} × {result.picture.height}).")
    print(receipt_sentence(result, receipt_file))


async def _collect(profile: Profile, lease: Lease, output: Path) -> Result:
    """The file is whole before the mesh hears that it may let go."""
    async with profile.connect() as client:
        return await client.collect_when_parked(lease, lambda picture: write_file(output, picture.data))
