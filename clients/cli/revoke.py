"""`mayfly revoke`: take photos back."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from clients.cli import options
from clients.cli.exits import UsageFailed
from clients.cli.output import check_target, emit, write_file
from clients.cli.profile import Profile, resolve


def revoke(
    photo_id: Annotated[str, typer.Argument(help="One photo.")] = "",
    *,
    everything: Annotated[bool, typer.Option("--all", help="Everything of yours: delete my data.")] = False,
    receipt: Annotated[Path | None, typer.Option(help="Write the one photo's receipt here.", metavar="FILE")] = None,
    as_json: options.Json = False,
    address: options.Address = None,
    ca: options.Ca = None,
    token_file: options.TokenFile = None,
    state: options.State = options.STATE,
) -> None:
    """Take one photo back, or all of yours: work on it stops everywhere, and nothing of it stays."""
    if bool(photo_id) == everything:
        raise UsageFailed("Say which photo, or --all; not both.")
    if receipt is not None:
        check_target(receipt)
    profile = resolve(address, ca, token_file, state)
    if everything:
        _revoke_all(profile, as_json)
    else:
        _revoke_one(profile, photo_id, receipt, as_json)


def _revoke_one(profile: Profile, photo_id: str, receipt: Path | None, as_json: bool) -> None:
    async def call() -> bytes | None:
        async with profile.connect() as client:
            return await client.revoke(photo_id)

    bundle = asyncio.run(call())
    if bundle is not None and receipt is not None:
        write_file(receipt, bundle)
    if as_json:
        emit({"photo_id": photo_id, "revoked": True, "confirmed": bundle is not None})
    elif bundle is None:
        print(f"Revoked. Not all services have confirmed yet; `mayfly receipt {photo_id}` will tell.")
    else:
        print(f"Revoked. The mesh has let go of the photo {photo_id}.")


def _revoke_all(profile: Profile, as_json: bool) -> None:
    async def call() -> tuple[int, tuple[str, ...]]:
        async with profile.connect() as client:
            revoked = await client.revoke_all()
            return len(revoked.receipts), revoked.pending

    ended, pending = asyncio.run(call())
    if as_json:
        emit({"revoked": ended + len(pending), "confirmed": ended, "pending_photo_ids": list(pending)})
        return
    if not ended and not pending:
        print("Nothing of yours was in the mesh.")
    elif ended:
        print(f"Revoked; the mesh has let go of {ended} {'photo' if ended == 1 else 'photos'}.")
    for photo_id in pending:
        print(f"Not yet confirmed: {photo_id} (`mayfly receipt {photo_id}` will tell).")
