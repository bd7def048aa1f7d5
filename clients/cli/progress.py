"""A render's progress as a person sees it: bars on a terminal, nothing anywhere else."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich import progress as rich_progress

    from clients.sdk.results import Progress

_TITLES = {
    "uploading": "Sending the photo",
    "queued": "Waiting for a free engine",
    "rendering": "Painting",
    "downloading": "Receiving the picture",
}


@contextlib.contextmanager
def progress_bars(*, quiet: bool) -> Iterator[Callable[[Progress], None]]:
    """One bar for each stage, on stderr, as the stages come."""
    if quiet or not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console  # noqa: PLC0415 - slow to import, and only for terminals
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn  # noqa: PLC0415
    from rich.progress import Progress as RichProgress  # noqa: PLC0415

    columns = (
        TextColumn("{task.description:<26}"),
        BarColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[step]}"),
    )
    with RichProgress(*columns, console=Console(stderr=True)) as bars:
        yield Bars(bars).show


@contextlib.contextmanager
def counting_bar(title: str, *, quiet: bool) -> Iterator[Callable[[int, int], None]]:
    """One bar on stderr for something that is counted: done, of how many."""
    if quiet or not sys.stderr.isatty():
        yield lambda done, total: None
        return
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import Progress as RichProgress  # noqa: PLC0415

    with RichProgress(console=Console(stderr=True)) as bars:
        task = bars.add_task(title, total=None)
        yield lambda done, total: bars.update(task, completed=done, total=total)


@contextlib.contextmanager
def audit_bar(*, quiet: bool) -> Iterator[Callable[[str, int, int], None]]:
    """One bar on stderr for an audit: what it does, canaries done with, of how many."""
    if quiet or not sys.stderr.isatty():
        yield lambda what, done, total: None
        return
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import Progress as RichProgress  # noqa: PLC0415

    with RichProgress(console=Console(stderr=True)) as bars:
        task = bars.add_task("starting", total=None)
        yield lambda what, done, total: bars.update(
            task, description=f"{what.replace('_', ' '):<30}", completed=done, total=total
        )


class Bars:
    """One task for each stage that was seen."""

    def __init__(self, bars: rich_progress.Progress) -> None:
        self._bars = bars
        self._tasks: dict[str, rich_progress.TaskID] = {}

    def show(self, event: Progress) -> None:
        if event.stage not in self._tasks:
            self._finish_others()
            title = _TITLES.get(event.stage, event.stage)
            self._tasks[event.stage] = self._bars.add_task(title, total=None, step="")
        step = beside(event)
        if event.fraction is None:
            self._bars.update(self._tasks[event.stage], step=step)
        else:
            self._bars.update(self._tasks[event.stage], total=1.0, completed=event.fraction, step=step)

    def _finish_others(self) -> None:
        """A stage that begins says that those before it are over."""
        for task in self._tasks.values():
            self._bars.update(task, total=1.0, completed=1.0, step="")


def beside(event: Progress) -> str:
    """What stands beside a bar: the step, or the place in the queue, and how long it may still take."""
    words = [event.step.replace("_", " ")] if event.step else []
    if event.queue_position:
        words.append("next" if event.queue_position == 1 else f"number {event.queue_position} in the queue")
    if event.remaining is not None and event.remaining >= 1:
        words.append(f"about {event.remaining:.0f} s")
    return ", ".join(words)
