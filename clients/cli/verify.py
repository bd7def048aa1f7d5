"""`mayfly verify`: is this receipt genuine? Needs no network, and does not trust the mesh."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from clients.cli import options, trust
from clients.cli.exits import UsageFailed, VerificationFailed
from clients.cli.output import emit

if TYPE_CHECKING:
    from clients.verify import Verified


def verify(
    receipt: Annotated[Path, typer.Argument(help="The receipt's file.")],
    *,
    key: trust.Key = None,
    log_key: trust.LogKey = None,
    witness: trust.Witness = None,
    witness_quorum: trust.Quorum = None,
    nonce: Annotated[
        Path | None, typer.Option(help="File with your nonce (hex): the receipt must be yours.", metavar="FILE")
    ] = None,
    as_json: options.Json = False,
    state: options.State = options.STATE,
) -> None:
    """Check a receipt: its signature, that the log holds it, and (with --nonce) that it is yours."""
    from clients.verify import verify_bundle  # noqa: PLC0415 - imports cryptography
    from mesh.transparency.errors import VerificationError  # noqa: PLC0415

    data = trust.read(receipt)
    try:
        keys = trust.resolve(key, log_key, witness, witness_quorum, state)
        verified = verify_bundle(
            data,
            receipt_keys=keys.receipts,
            log_vkey=keys.logs,
            nonce=_nonce(nonce),
            validity=keys.validity,
            witnesses=keys.witnesses,
            quorum=keys.quorum,
            asked=keys.asked,
        )
    except VerificationError as error:
        raise VerificationFailed(error.check, f"NOT verified: {error.sentence} ({error.check})") from None
    if as_json:
        emit(_described(verified))
    else:
        _print(verified, asked_for_nonce=nonce is not None)


def _nonce(path: Path | None) -> bytes | None:
    if path is None:
        return None
    try:
        return bytes.fromhex(trust.read(path).decode("ascii").strip())
    except ValueError:
        raise UsageFailed(f"{path} does not hold a nonce (64 hex digits).") from None


def _described(verified: Verified) -> dict[str, Any]:
    import json  # noqa: PLC0415

    return {
        "verified": True,
        "checks": list(verified.checks),
        "key_id": verified.keyid,
        "log_index": verified.index,
        "receipt": json.loads(verified.receipt.to_json()),
    }


def _print(verified: Verified, *, asked_for_nonce: bool) -> None:
    receipt = verified.receipt
    print(f"Verified: photo {receipt.photo_id} is gone ({receipt.outcome}, {receipt.reason}).")
    for custody in receipt.custody:
        print(f"  {custody.holder} held it for {custody.seconds:.3f} s, then {custody.state}.")
    if verified.logged:
        print(f"  The log holds this receipt at index {verified.index}.")
    else:
        print(f"  Without the log's proof yet; `mayfly receipt {receipt.photo_id} -o FILE` gets it.")
    if asked_for_nonce:
        print("  It commits to your nonce: it is yours.")
