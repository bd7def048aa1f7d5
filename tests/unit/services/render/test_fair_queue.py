"""Who is next, and when: shares that hold, and nobody who waits for ever."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.render.catalogue import Catalogue
from services.render.estimates import Durations, starts
from services.render.fair_queue import FairQueue

A, B, C = b"a", b"b", b"c"


def served(queue: FairQueue) -> bytes:
    out = b""
    while (entry := queue.pop()) is not None:
        out += entry.owner
    return out


def filled(*photos: tuple[bytes, float, float]) -> FairQueue:
    queue = FairQueue()
    for owner, weight, cost in photos:
        queue.push(owner, weight, cost)
    return queue


def test_one_owner_s_photos_come_in_their_order() -> None:
    queue = FairQueue()
    entries = [queue.push(A, 1, 1) for _ in range(3)]
    assert [queue.pop() for _ in range(4)] == [*entries, None]


def test_an_owner_who_sends_many_waits_behind_another_s_first() -> None:
    assert served(filled(*[(A, 1, 1)] * 5, (B, 1, 1), (C, 1, 1))) == b"abcaaaa"


def test_what_is_dear_is_paid_for() -> None:
    assert served(filled(*[(A, 1, 3)] * 3, *[(B, 1, 1)] * 6)) == b"abbbabbba"


@given(st.integers(1, 8), st.lists(st.sampled_from([0.5, 1.0, 4.0]), min_size=2, max_size=4))
def test_owners_get_work_done_by_their_weights(cost: int, weights: list[float]) -> None:
    """While all have photos waiting, no two differ by more than one photo of each (Goyal et al., theorem 1)."""
    queue = FairQueue()
    for number, weight in enumerate(weights):
        for _ in range(60):
            queue.push(bytes([number]), weight, cost)
    done: Counter[int] = Counter()
    while all(done[number] < 60 for number in range(len(weights))):
        entry = queue.pop()
        assert entry is not None
        done[entry.owner[0]] += 1
        shares = [done[number] * cost / weight for number, weight in enumerate(weights)]
        most = max(2 * cost / weight for weight in weights)
        assert max(shares) - min(shares) <= most


@given(st.lists(st.tuples(st.sampled_from([A, B, C]), st.sampled_from(["push", "pop", "remove"])), max_size=60))
def test_nothing_is_lost_whatever_comes_and_goes(story: list[tuple[bytes, str]]) -> None:
    queue = FairQueue()
    waiting = []
    for owner, what in story:
        if what == "push":
            place = len(queue.ahead_of(owner))
            waiting.append(queue.push(owner, 1, 1))
            assert list(queue).index(waiting[-1]) == place
        elif waiting and what == "pop":
            order = list(queue)
            first = queue.pop()
            assert first is order[0]
            waiting.remove(first)
        elif waiting:
            queue.remove(waiting.pop())
        assert len(queue) == len(waiting)
    assert len(served(queue)) == len(waiting)


def test_who_comes_later_doesnt_catch_up_on_what_it_never_asked_for() -> None:
    queue = filled(*[(A, 1, 1)] * 20)
    for _ in range(10):
        queue.pop()
    for _ in range(10):
        queue.push(B, 1, 1)
    assert served(queue)[:6] in (b"ababab", b"bababa")


def test_a_photo_that_left_is_not_paid_for() -> None:
    queue = filled((A, 1, 1), (B, 1, 1))
    left = queue.push(A, 1, 50)
    queue.remove(left)
    queue.push(A, 1, 1)
    queue.push(B, 1, 1)
    assert served(queue) == b"abab"


def test_an_idle_queue_remembers_nobody() -> None:
    queue = filled(*[(A, 1, 100)] * 3)
    assert served(queue) == b"aaa"
    assert queue._ends
    queue.idle()
    assert not queue._ends
    queue.push(A, 1, 1)
    queue.push(B, 1, 1)
    assert served(queue) == b"ab"


@pytest.mark.parametrize(
    ("slots", "running", "waiting", "expected"),
    [
        (1, [], [2, 3], [0, 2]),
        (1, [5], [2, 3, 1], [5, 7, 10]),
        (2, [4, 1], [2, 2, 2], [1, 3, 4]),
        (2, [-3], [1, 1, 1], [0, 0, 1]),
        (3, [1, 1, 9], [], []),
    ],
)
def test_when_each_begins(slots: int, running: list[float], waiting: list[float], expected: list[float]) -> None:
    assert starts(slots, running, waiting) == expected


def test_durations_are_learnt_by_scene_and_by_cost_class() -> None:
    scenes = [scene for scene in Catalogue.load().scenes() if scene.cost == "standard"]
    durations = Durations()
    assert durations.of(scenes[0]) == 0.0
    durations.learn(scenes[0], 4.0)
    assert durations.of(scenes[0]) == 4.0
    assert durations.of(scenes[1]) == 4.0, "another one of its class"
    for _ in range(40):
        durations.learn(scenes[0], 1.0)
    assert durations.of(scenes[0]) == pytest.approx(1.0, abs=0.01)
