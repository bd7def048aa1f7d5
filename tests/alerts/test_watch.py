"""Who watches alerts counts what was asked for after it was told to forget."""

from __future__ import annotations

import queue
from types import SimpleNamespace
from typing import Any

import pytest

from tests.alerts import site


def test_a_look_that_began_before_does_not_count_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    begun, answers = queue.Queue[None](), queue.Queue[set[str]]()

    def firing(_url: str) -> set[str]:
        begun.put(None)
        return answers.get()

    monkeypatch.setattr(site, "firing", firing)
    monkeypatch.setattr(site, "_LOOK", 0.001)
    prometheus: Any = SimpleNamespace(url="")
    with site.Watch(prometheus) as watch:
        begun.get()
        watch.forget()
        answers.put({"Old"})
        begun.get()  # the answer before has been taken in
        assert (watch.ever, watch.seen) == ({"Old"}, set())
        answers.put({"New"})
        begun.get()
        assert (watch.ever, watch.seen) == ({"Old", "New"}, {"New"})
        answers.put(set())
        watch.forget()
        assert watch.seen == set()
        watch._stop.set()
        answers.put(set())
