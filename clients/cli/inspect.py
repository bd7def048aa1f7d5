"""`mayfly inspect`: what a picture says of how it was made; on this machine, without a mesh or a network."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from clients.cli import options
from clients.cli.exits import ExitCode, UsageFailed
from clients.cli.output import emit

if TYPE_CHECKING:
    from clients.inspecting.report import Report


def inspect(
    picture: Annotated[Path, typer.Argument(help="A JPEG, PNG or WebP, of Mayfly's or anybody's.")],
    *,
    trust: Annotated[
        Path | None, typer.Option("--trust", help="Certificates whose signatures count as trusted, PEM.")
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Show how a picture says that it was made: Content Credentials, IPTC, watermark; and what it doesn't carry."""
    try:
        import c2pa  # noqa: F401, PLC0415 - an extra
        import wmforge  # noqa: F401, PLC0415
    except ImportError:
        raise UsageFailed("Looking into pictures takes the extra `inspect`: pip install 'mayfly[inspect]'.") from None
    from clients.inspecting import inspect as looking  # noqa: PLC0415 - imports wait for the command

    if picture.stat().st_size > looking.MAX_BYTES:
        raise looking.too_large(looking.MAX_BYTES)
    report = looking.inspect(picture.read_bytes(), anchors="" if trust is None else _anchors(trust))
    if as_json:
        emit({"picture": str(picture), **report.to_value()})
    else:
        _show(picture, report)
    raise typer.Exit(_exit_code(report))


def _exit_code(report: Report) -> ExitCode:
    if report.credentials is not None and report.credentials.state == "invalid":
        return ExitCode.NOT_VERIFIED
    return ExitCode.OK if report.marked else ExitCode.NOT_FOUND


def _anchors(file: Path) -> str:
    text = file.read_text(encoding="ascii", errors="replace")
    if "BEGIN CERTIFICATE" not in text:
        raise UsageFailed(f"{file}: holds no PEM certificate.")
    return text


def _show(picture: Path, report: Report) -> None:
    from rich.console import Console  # noqa: PLC0415 - slow to import
    from rich.markup import escape  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    from clients.inspecting import words  # noqa: PLC0415

    table = Table(
        title=escape(f"{picture} ({report.format.upper()}, {report.width} × {report.height})"),
        title_justify="left",
        show_header=False,
    )
    for what, said, colour in words.rows(report):
        table.add_row(what, f"[{colour}]{escape(said)}[/]" if colour else escape(said))
    console = Console()
    console.print(table)
    console.print(escape(words.verdict(report)), soft_wrap=True)
