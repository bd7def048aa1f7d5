"""`mayfly scrub`: photos without what they say about the family; on this machine, no mesh needed."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from clients.cli import failing, options
from clients.cli.exits import ExitCode, UsageFailed
from clients.cli.output import emit, write_file
from mesh.errors import Invalid

if TYPE_CHECKING:
    from clients.scrubbing.photo import Clean
    from clients.scrubbing.plan import Job

_SUFFIXES = {"jpeg": ".jpg", "png": ".png"}  # of what a HEIC, an AVIF, a TIFF or a BMP becomes


def scrub(
    photos: Annotated[list[Path], typer.Argument(help="Photos, or folders of photos.", metavar="PHOTO…")],
    *,
    output: Annotated[Path, typer.Option("-o", "--output", help="A file for one photo, a folder for more.")],
    as_json: options.Json = False,
) -> None:
    """Remove from photos all that isn't the picture: place, time, camera, thumbnails, comments, hidden videos."""
    from clients.scrubbing.plan import plan  # noqa: PLC0415 - imports wait for the command

    jobs = plan(photos, output)
    done = []
    with _progress(len(jobs), quiet=as_json) as step:
        for job in jobs:
            done.append(_one(job, as_json=as_json))
            step()
    refused = sum("error" in each for each in done)
    if as_json:
        emit({"photos": done, "scrubbed": len(done) - refused, "refused": refused})
    elif len(jobs) > 1:
        print(f"{len(done) - refused} scrubbed, {refused} refused.")
    if refused:
        raise typer.Exit(ExitCode.REFUSED)


def _one(job: Job, *, as_json: bool) -> dict[str, Any]:
    """Scrubs one photo; says what happened. A refusal doesn't stop the others."""
    from clients.scrubbing.photo import LIMITS, clean  # noqa: PLC0415
    from services.ingest import refusals  # noqa: PLC0415

    try:
        if job.source.stat().st_size > LIMITS.max_bytes:
            raise refusals.too_large(LIMITS.max_bytes)
        found = clean(job.source.read_bytes())
    except Invalid as refused:
        why = failing.explain(refused)
        if not as_json:
            print(f"mayfly: {job.source}: {why.line}", file=sys.stderr)
        error = {"reason": why.reason, "message": why.message, **why.details}
        return {"input": str(job.source), "error": error}
    facts = found.facts
    renamed = found.converted and facts.converted_from is not facts.format
    target = job.target.with_suffix(_SUFFIXES[facts.format.value]) if renamed else job.target
    if target != job.target and target.exists():
        raise UsageFailed(f"{target} exists; move it away, or scrub into another folder.")
    target.absolute().parent.mkdir(parents=True, exist_ok=True)
    write_file(target, found.data)
    if not as_json:
        print(_sentences(target, found))
    return _as_json(job, target, found)


def _as_json(job: Job, target: Path, found: Clean) -> dict[str, Any]:
    facts = found.facts
    return {
        "input": str(job.source),
        "output": str(target),
        "format": facts.format.value,
        "width": facts.width,
        "height": facts.height,
        "byte_count": len(found.data),
        "removed": {kind.value: size for kind, size in sorted(facts.removed.items())},
        "color_space": facts.colour.value,
        "color_profile_dropped": facts.colour_profile_dropped,
        "orientation": facts.orientation,
        "turned": found.turned.value,
        "converted": found.converted,
        "ai_generated": facts.ai_generated,
    }


def _sentences(target: Path, found: Clean) -> str:
    facts = found.facts
    kinds = ", ".join(f"{kind.value} ({size:,} bytes)" for kind, size in sorted(facts.removed.items()))
    said = [f"Wrote {target} ({facts.width} × {facts.height})."]
    said.append(f"Removed: {kinds}." if kinds else "There was nothing to remove.")
    if found.turned == "lossless":
        said.append("Turned upright; no pixel changed.")
    elif found.turned == "re-encoded":
        said.append("Turned upright, for which it was re-encoded.")
    if found.converted:
        said.append(f"Drawn anew as a {facts.format.upper()}.")
    if facts.colour_profile_dropped:
        said.append("Its colour profile is not one that we know, so it was dropped: colours may shift slightly.")
    if facts.ai_generated:
        said.append("It was marked as made with AI; that mark went with the metadata.")
    return " ".join(said)


@contextlib.contextmanager
def _progress(total: int, *, quiet: bool) -> Iterator[Callable[[], None]]:
    """A bar on stderr, for many photos on a terminal."""
    if quiet or total < 2 or not sys.stderr.isatty():
        yield lambda: None
        return
    from rich.console import Console  # noqa: PLC0415 - slow to import, and only for terminals
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeElapsedColumn  # noqa: PLC0415

    with Progress(BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), console=Console(stderr=True)) as bar:
        task = bar.add_task("Scrubbing", total=total)
        yield lambda: bar.advance(task)
