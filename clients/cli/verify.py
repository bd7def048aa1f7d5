"""`mayfly verify`: is this receipt genuine? Needs no network, and does not trust the mesh."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from clients.cli import options
from clients.cli.exits import UsageFailed, VerificationFailed
from clients.cli.output import emit

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    from clients.verify import Verified


def verify(
    receipt: Annotated[Path, typer.Argument(help="The receipt's file.")],
    *,
    key: Annotated[
        list[Path] | None,
        typer.Option(help="Public key that signs receipts, PEM; may be repeated. Default: the state folder's mesh's."),
    ] = None,
    log_key: Annotated[
        str, typer.Option(help="The log's verifier key, or a file with it. Default: the state folder's mesh's.")
    ] = "",
    nonce: Annotated[
        Path | None, typer.Option(help="File with your nonce (hex): the receipt must be yours.", metavar="FILE")
    ] = None,
    as_json: options.Json = False,
    state: options.State = options.STATE,
) -> None:
    """Check a receipt: its signature, that the log holds it, and (with --nonce) that it is yours."""
    from clients.verify import verify_bundle  # noqa: PLC0415 - imports cryptography
    from mesh.transparency.errors import VerificationError  # noqa: PLC0415

    data = _read(receipt)
    keys, vkey = _keys(key, log_key, state)
    try:
        verified = verify_bundle(data, receipt_keys=keys, log_vkey=vkey, nonce=_nonce(nonce))
    except VerificationError as error:
        raise VerificationFailed(error.check, f"NOT verified: {error.sentence} ({error.check})") from None
    if as_json:
        emit(_described(verified))
    else:
        _print(verified, asked_for_nonce=nonce is not None)


def _read(path: Path) -> bytes:
    if not path.is_file():
        raise UsageFailed(f"{path}: no such file.")
    return path.read_bytes()


def _keys(files: list[Path] | None, log_key: str, state: Path) -> tuple[list[Ed25519PublicKey], str | None]:
    from clients.local.public_keys import PublicKeys  # noqa: PLC0415
    from services.purge.signing import load_public  # noqa: PLC0415

    local = PublicKeys.of(state)
    if files:
        keys = [load_public(_read(path)) for path in files]
    elif local is not None:
        keys = [local.receipts]
    else:
        raise UsageFailed(f"There is no mesh in {state} whose key could be used; give --key FILE.")
    if log_key:
        path = Path(log_key)
        return keys, (path.read_text().strip() if path.is_file() else log_key)
    # A key that was given by hand says that it is another mesh's receipt: ours would only confuse.
    return keys, (local.log_vkey if local is not None and not files else None)


def _nonce(path: Path | None) -> bytes | None:
    if path is None:
        return None
    try:
        return bytes.fromhex(_read(path).decode("ascii").strip())
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
