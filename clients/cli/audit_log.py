"""`mayfly audit-log`: do the mesh's logs add up? Replays them whole, and trusts nobody but the keys."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from clients.cli import options, trust
from clients.cli.exits import UsageFailed, VerificationFailed
from clients.cli.output import check_target, emit, write_file
from clients.cli.progress import counting_bar

if TYPE_CHECKING:
    from clients.audit import Audit
    from mesh.transparency.tiles import Reader

_AUDITS = {"clean": "clean", "residue": "that found residue", "incomplete": "incomplete"}
_SHOWN = 10  # problems, on a terminal


def audit_log(
    locations: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[URL|FOLDER]...",
            help="Each log of the mesh: http(s)://, file://, a folder. Default: the state folder's.",
        ),
    ] = None,
    *,
    key: trust.Key = None,
    log_key: trust.LogKey = None,
    witness: trust.Witness = None,
    witness_quorum: trust.Quorum = None,
    checkpoint: Annotated[
        Path | None,
        typer.Option(help="Where the logs' heads are kept: each must extend its last one. Updated.", metavar="FILE"),
    ] = None,
    audit_key: Annotated[
        list[Path] | None,
        typer.Option(help="Public key that signs audit statements, PEM; may be repeated.", metavar="FILE"),
    ] = None,
    server_ca: Annotated[Path | None, typer.Option(help="CA of https servers, PEM. Default: the system's.")] = None,
    as_json: options.Json = False,
    state: options.State = options.STATE,
) -> None:
    """Replay logs from their first entry: signatures, every hash, and that each lease has one end.

    Give all the logs of a mesh at once: one replica may end what another granted.
    """
    from clients.audit import Trust, audit_logs  # noqa: PLC0415 - imports cryptography
    from mesh.transparency.errors import VerificationError  # noqa: PLC0415
    from mesh.transparency.note import Verifier  # noqa: PLC0415

    if checkpoint is not None:
        check_target(checkpoint)
    readers = readers_of(locations or [str(state / "log")], server_ca)
    try:
        keys = trust.resolve(key, log_key, witness, witness_quorum, state)
        if not keys.logs:
            raise UsageFailed("Give the logs' keys: --log-key VKEY, or a list of keys with --key.")
        asked = [Verifier.parse(vkey) for vkey in keys.asked]
        trusted = Trust(
            [Verifier.parse(vkey) for vkey in keys.logs],
            keys.receipts,
            keys.validity,
            asked,
            keys.quorum,
            audits=trust.audit_keys(audit_key, state),
        )
        with counting_bar("Reading the log", quiet=as_json) as progress:
            audit = audit_logs(readers, trusted, earlier=_kept(checkpoint), now=time.time(), progress=progress)
    except VerificationError as error:
        raise VerificationFailed(error.check, f"NOT verified: {error.sentence} ({error.check})") from None
    except FileNotFoundError:
        raise VerificationFailed("missing", "NOT verified: a part of a log that its head covers is missing.") from None
    _report(audit, as_json=as_json)
    if checkpoint is not None:
        _keep(checkpoint, audit)


def readers_of(locations: list[str], ca: Path | None) -> list[Reader]:
    """Raises UsageFailed."""
    from mesh.transparency.http_reader import reader_of  # noqa: PLC0415

    try:
        return [reader_of(location, ca) for location in locations]
    except ValueError as error:
        raise UsageFailed(f"{error}.") from None


def _report(audit: Audit, *, as_json: bool) -> None:
    """Raises VerificationFailed when something does not add up, after saying what."""
    count = audit.recount
    if as_json and count.conserved:
        emit({"verified": True, **_described(audit)})
    if count.conserved and not as_json:
        _print(audit)
    if not count.conserved:
        shown = " ".join(count.problems[:_SHOWN])
        more = f" And {len(count.problems) - _SHOWN} more." if len(count.problems) > _SHOWN else ""
        raise VerificationFailed("conservation", f"NOT verified: {shown}{more} (conservation)")


def _described(audit: Audit) -> dict[str, object]:
    count = audit.recount
    return {
        "logs": [{"origin": shard.checkpoint.origin, "size": shard.checkpoint.size} for shard in audit.shards],
        "granted": count.grants,
        "settled": count.settled,
        "revoked": count.revoked,
        "expired": count.expired,
        "open": count.open,
        "audits": count.audits,
        "audits_checked": count.audits_checked,
    }


def _print(audit: Audit) -> None:
    count = audit.recount
    for shard in audit.shards:
        print(f"{shard.checkpoint.origin}: {shard.checkpoint.size} entries, as signed.")
    print(f"Verified: {count.grants} leases = {count.settled} settled + {count.revoked} revoked + ", end="")
    print(f"{count.expired} expired + {len(count.open)} open.")
    if count.audits:
        found = ", ".join(f"{number} {_AUDITS[outcome]}" for outcome, number in sorted(count.audits.items()))
        doubt = "" if count.audits_checked else " Signatures not checked: give the auditor's key, --audit-key."
        print(f"Audits in it: {found}.{doubt}")
    for photo_id in count.open[:_SHOWN]:
        print(f"  open: photo {photo_id}")
    if len(count.open) > _SHOWN:
        print(f"  and {len(count.open) - _SHOWN} more; --json lists them")


def _kept(path: Path | None) -> dict[str, bytes]:
    if path is None or not path.exists():
        return {}
    try:
        kept = json.loads(path.read_text("utf-8"))
        return {str(origin): str(note).encode() for origin, note in kept.items()}
    except (ValueError, AttributeError):
        raise UsageFailed(f"{path} does not hold kept checkpoints.") from None


def _keep(path: Path, audit: Audit) -> None:
    """Those of other logs stay."""
    kept = {origin: note.decode() for origin, note in _kept(path).items()}
    kept |= {shard.checkpoint.origin: shard.note.decode() for shard in audit.shards}
    write_file(path, json.dumps(kept, indent=2, ensure_ascii=False).encode() + b"\n")
