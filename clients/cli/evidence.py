"""`mayfly evidence`: what became of a period's photos, recounted from the logs, as a signed report; and its check."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from clients.cli import options, trust
from clients.cli.audit_log import readers_of
from clients.cli.exits import UsageFailed, VerificationFailed
from clients.cli.output import check_target, emit, write_file
from clients.cli.progress import counting_bar

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    from clients.audit import Trust
    from clients.evidence.period import Period
    from clients.evidence.report import Report
    from mesh.transparency.tiles import Reader

_FORMATS = (".json", ".html", ".pdf")
_SHOWN = 10  # differences, in one line
_KEY_HELP = (
    "The report's key, Ed25519, PEM: the private one that signs it; with --check, the public one that must have. "
    "Default: the state folder's, which is made when it is missing."
)


def evidence(
    locations: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[URL|FOLDER]...",
            help="Each log of the mesh: http(s)://, file://, a folder. Default: the state folder's.",
        ),
    ] = None,
    *,
    since: Annotated[str, typer.Option(help="Begin of the period: 30d, 12h, 2026-11-01, or RFC 3339.")] = "30d",
    until: Annotated[str | None, typer.Option(help="Its end, in the same forms. Default: now.")] = None,
    out: Annotated[
        Path | None,
        typer.Option("-o", "--out", help="The file: .json, .html or .pdf. The signed .json is always there, too."),
    ] = None,
    check: Annotated[Path | None, typer.Option(help="A signed report, to be worked out again.", metavar="FILE")] = None,
    key: Annotated[Path | None, typer.Option(help=_KEY_HELP, metavar="FILE")] = None,
    prometheus: Annotated[str, typer.Option(help="A Prometheus that has watched the mesh.", metavar="URL")] = "",
    audit_gap: Annotated[
        int | None,
        typer.Option(
            help="Seconds without an audit after which a report names the gap. Default: 1800, two of the auditor's "
            "usual intervals.",
            min=1,
            metavar="SECONDS",
        ),
    ] = None,
    trusted: Annotated[list[Path] | None, typer.Option("--trust", help=trust.KEY_HELP, metavar="FILE")] = None,
    log_key: trust.LogKey = None,
    witness: trust.Witness = None,
    witness_quorum: trust.Quorum = None,
    audit_key: Annotated[
        list[Path] | None,
        typer.Option(help="Public key that signs audit statements, PEM; may be repeated.", metavar="FILE"),
    ] = None,
    server_ca: Annotated[Path | None, typer.Option(help="CA of https logs, PEM. Default: the system's.")] = None,
    as_json: options.Json = False,
    state: options.State = options.STATE,
) -> None:
    """Make a signed report for an auditor out of the mesh's logs, or check one by working out every figure again."""
    from mesh.transparency.errors import VerificationError  # noqa: PLC0415 - imports cryptography

    if (out is None) == (check is None):
        raise UsageFailed("Give either --out FILE for a report, or --check FILE for one that is there.")
    if prometheus:
        _check_prometheus(prometheus)
    readers = readers_of(locations or _own_logs(state), server_ca)
    try:
        trusting = _trust(
            trust.resolve(trusted, log_key, witness, witness_quorum, state), trust.audit_keys(audit_key, state)
        )
        asked = _Asked(readers, trusting, key, prometheus, state, as_json)
        if out is not None:
            _make(out, _period(since, until), asked, audit_gap)
        elif check is not None:
            _check(check, asked)
    except VerificationError as error:
        raise VerificationFailed(error.check, f"NOT verified: {error.sentence} ({error.check})") from None
    except FileNotFoundError as error:
        if error.filename is None:
            raise
        raise VerificationFailed("missing", "NOT verified: a part of a log that its head covers is missing.") from None


@dataclass(frozen=True, slots=True)
class _Asked:
    """What both ways need. prometheus: a URL, or nothing."""

    readers: list[Reader]
    trust: Trust
    key: Path | None
    prometheus: str
    state: Path
    as_json: bool


def _make(out: Path, period: Period, asked: _Asked, audit_gap: int | None) -> None:
    from clients.evidence import keys, report  # noqa: PLC0415
    from mesh.transparency.dsse import key_id  # noqa: PLC0415

    if out.suffix not in _FORMATS:
        raise UsageFailed(f"{out}: a report is a {', '.join(_FORMATS)} file.")
    beside = out.with_suffix(".json")
    for path in {out, beside}:
        check_target(path)
    _check_extra(out)
    signing = keys.signing(asked.key, asked.state)
    with counting_bar("Reading the log", quiet=asked.as_json) as progress:
        made = report.make(
            asked.readers,
            asked.trust,
            period,
            now=int(time.time()),
            audit_gap=audit_gap or report.AUDIT_GAP,
            prometheus_url=asked.prometheus,
            progress=progress,
        )
    keyid = key_id(signing.public_key())
    other = _render(out, made, beside.name, keyid)
    write_file(beside, report.sign(made, signing))
    if other is not None:
        write_file(out, other)
    flow = made.figures["conservation"]
    if asked.as_json:
        emit(
            {
                "out": str(out),
                "report": str(beside),
                "sha256": made.digest,
                "key_id": keyid,
                "sentence": made.value["sentence"],
                "balanced": flow["balanced"],
            }
        )
        return
    print(made.value["sentence"])
    if not flow["balanced"]:
        print("It does NOT add up: the report says what is wrong (`mayfly audit-log` as well).")
    written = str(out) if other is None else f"{out}, and beside it the signed {beside.name}"
    print(f"Written: {written}. SHA-256 {made.digest}, key id {keyid}.")
    if asked.key is None:
        print(f"Who checks it needs the public key: {keys.public_file(asked.state)}")


def _render(out: Path, made: Report, beside: str, keyid: str) -> bytes | None:
    if out.suffix == ".html":
        from clients.evidence import html  # noqa: PLC0415 - matplotlib is slow to import

        return html.render(made, beside, keyid)
    if out.suffix == ".pdf":
        from clients.evidence import pdf  # noqa: PLC0415

        return pdf.render(made, beside, keyid)
    return None


def _check(path: Path, asked: _Asked) -> None:
    from clients.evidence import check, keys, report  # noqa: PLC0415

    opened = report.open_report(trust.read(path), keys.verifying(asked.key, asked.state))
    with counting_bar("Reading the log", quiet=asked.as_json) as progress:
        checked = check.check(opened, asked.readers, asked.trust, prometheus_url=asked.prometheus, progress=progress)
    if checked.differences:
        more = f"; and {len(checked.differences) - _SHOWN} more" if len(checked.differences) > _SHOWN else ""
        sentence = f"NOT verified: {'; '.join(checked.differences[:_SHOWN])}{more} (figures)"
        raise VerificationFailed("figures", sentence)
    entries = sum(log["size"] for log in opened.value["logs"])
    if asked.as_json:
        emit(
            {
                "verified": True,
                "sha256": opened.digest,
                "sentence": opened.value["sentence"],
                "entries": entries,
                "prometheus": checked.asked,
                "balanced": opened.figures["conservation"]["balanced"],
            }
        )
        return
    print(f"Verified: the signature, and every figure, counted again from {entries:,} entries of the log.")
    print("Its definitions and queries are this program’s.")
    print(opened.value["sentence"])
    if opened.value["prometheus"] is not None and not checked.asked:
        print("Not checked: what it says of Prometheus; ask again with --prometheus URL.")


def _check_prometheus(url: str) -> None:
    """Before the logs are read."""
    from clients.evidence.prometheus import check_url  # noqa: PLC0415

    try:
        check_url(url)
    except ValueError as error:
        raise UsageFailed(f"--prometheus: {error}.") from None


def _trust(keys: trust.Keys, audits: list[Ed25519PublicKey] | None) -> Trust:
    from clients.audit import Trust  # noqa: PLC0415
    from mesh.transparency.note import Verifier  # noqa: PLC0415

    if not keys.logs:
        raise UsageFailed("Give the logs' keys: --log-key VKEY, or a list of keys with --trust.")
    return Trust(
        [Verifier.parse(vkey) for vkey in keys.logs],
        keys.receipts,
        keys.validity,
        [Verifier.parse(vkey) for vkey in keys.asked],
        keys.quorum,
        audits=audits,
    )


def _period(since: str, until: str | None) -> Period:
    from clients.evidence.period import Period, parse_moment  # noqa: PLC0415

    now = time.time()
    try:
        # The second in which we are is part of it.
        return Period(parse_moment(since, now), int(now) + 1 if until is None else parse_moment(until, now))
    except (ValueError, OverflowError):
        raise UsageFailed(
            "--since, --until: 30d, 12h, 2026-11-01 or RFC 3339, the first one before the other."
        ) from None


def _own_logs(state: Path) -> list[str]:
    """Of each replica that there ever was in the state folder."""
    return [str(path) for path in sorted(state.glob("log*")) if (path / "public").is_dir()] or [str(state / "log")]


def _check_extra(out: Path) -> None:
    """Before the logs are read."""
    from importlib.util import find_spec  # noqa: PLC0415

    if out.suffix != ".json" and find_spec("matplotlib") is None:
        raise UsageFailed(f"{out.suffix[1:].upper()} takes the extra `report`: pip install 'mayfly[report]'.")
