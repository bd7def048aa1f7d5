"""Which files become which: decided before the first is touched, so that nothing is ever written over a photo."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from clients.cli.exits import UsageFailed


@dataclass(frozen=True, slots=True)
class Job:
    source: Path
    target: Path


def plan(sources: Sequence[Path], output: Path) -> list[Job]:
    """One file to one file; anything else into a folder, in which folders keep their shape. Raises UsageFailed."""
    for source in sources:
        if not source.exists():
            raise UsageFailed(f"{source}: no such file or folder.")
    into_folder = len(sources) > 1 or sources[0].is_dir() or output.is_dir()
    jobs = [job for source in sources for job in _jobs(source, output, into_folder)]
    if not jobs:
        raise UsageFailed(f"{sources[0]}: no files in it.")
    _check(jobs)
    return jobs


def _jobs(source: Path, output: Path, into_folder: bool) -> Iterator[Job]:
    if not source.is_dir():
        yield Job(source, output / source.name if into_folder else output)
        return
    for folder, names, files in os.walk(source):
        here = Path(folder)
        names[:] = sorted(name for name in names if not name.startswith(".") and not _same(here / name, output))
        for name in sorted(files):
            if not name.startswith(".") and (here / name).is_file():
                yield Job(here / name, output / here.relative_to(source) / name)


def _check(jobs: Sequence[Job]) -> None:
    targets = [job.target.absolute() for job in jobs]
    if len(set(targets)) < len(targets):
        raise UsageFailed("Two photos have the same name; scrub them into different folders.")
    sources = {job.source.stat()[1:3] for job in jobs}  # inode and device
    for job in jobs:
        if job.target.is_dir():
            raise UsageFailed(f"{job.target} is a folder; say which file to write.")
        if job.target.exists() and job.target.stat()[1:3] in sources:
            raise UsageFailed(f"{job.target} is a photo itself; write elsewhere.")


def _same(path: Path, other: Path) -> bool:
    return other.exists() and path.samefile(other)
