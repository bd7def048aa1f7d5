"""What stands beside a progress bar."""

from __future__ import annotations

import pytest

from clients.cli.progress import beside
from clients.sdk.results import Progress


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (Progress("uploading", "", 0.5), ""),
        (Progress("rendering", "cut_out", 0.2), "cut out"),
        (Progress("rendering", "oils", 0.2, remaining=3.4), "oils, about 3 s"),
        (Progress("rendering", "encode", 0.9, remaining=0.2), "encode"),
        (Progress("queued", "", 0.0, 1), "next"),
        (Progress("queued", "", 0.0, 12, 40.6), "number 12 in the queue, about 41 s"),
    ],
)
def test_the_step_or_the_place_in_the_queue_and_how_long_it_may_take(event: Progress, words: str) -> None:
    assert beside(event) == words
