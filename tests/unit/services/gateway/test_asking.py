"""Which replica is asked, in which order, and when nobody's answer is an answer."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mesh.errors import Exhausted, MeshError, NotFound, Unavailable, no_such_photo
from services.gateway.asking import ELSEWHERE, Asking, Unanswered
from services.gateway.replicas import Replicas
from tests.unit.serving import FakeClock, new_book

PHOTO = "0" * 32


class QuickClock(FakeClock):
    """Who sleeps advances it."""

    async def sleep(self, seconds: float) -> None:
        self.advance(seconds)


class Purge:
    """Replicas at a:1, b:1, c:1 that are called purge-0 … purge-2; what each answers, a test says."""

    def __init__(self, count: int = 3) -> None:
        self.clock = QuickClock()
        self.book = new_book("gateway", attended=False)
        self.targets = [f"{letter}:1" for letter in "abc"[:count]]
        for number, target in enumerate(self.targets):
            self.book.attend(target, f"purge-{number}")
        self.replicas = Replicas(self.targets, self.book, self.clock)
        self.asking = Asking(self.replicas, self.clock)
        self.answers: dict[str, str | MeshError | Callable[[], str | MeshError]] = dict.fromkeys(self.targets, "yes")
        self.asked: list[str] = []
        self.seconds: list[float] = []

    async def attempt(self, target: str, seconds: float) -> str:
        self.asked.append(target)
        self.seconds.append(seconds)
        answer = self.answers[target]
        answer = answer() if callable(answer) else answer
        if isinstance(answer, MeshError):
            if isinstance(answer, Unanswered):
                self.clock.advance(0.01)
            raise answer
        return answer

    async def grant(self) -> str:
        await self.asking.for_grant(self.attempt)
        return self.asked[-1]

    async def about(self) -> str:
        return await self.asking.about(PHOTO, self.attempt)

    def die(self, target: str) -> None:
        self.book.leave(target)
        self.answers[target] = Unanswered()


def elsewhere(registry: str) -> Unavailable:
    return Unavailable(ELSEWHERE, "There.", registry=registry)


async def test_grants_go_round() -> None:
    purge = Purge()
    granted = [await purge.grant() for _ in range(6)]
    assert sorted(granted[:3]) == purge.targets
    assert granted[:3] == granted[3:]


async def test_no_lease_of_a_replica_that_does_not_listen() -> None:
    purge = Purge()
    assert {await purge.grant() for _ in range(6)} == set(purge.targets)
    purge.book.leave("b:1")
    assert {await purge.grant() for _ in range(6)} == {"a:1", "c:1"}
    purge.book.leave("a:1")
    purge.book.leave("c:1")
    asked = len(purge.asked)
    with pytest.raises(Unavailable):
        await purge.grant()
    assert len(purge.asked) == asked


async def test_a_grant_goes_on_to_the_next_and_remembers_who_did_not_answer() -> None:
    purge = Purge(2)
    purge.answers["a:1"] = Unanswered()
    assert [await purge.grant() for _ in range(4)] == ["b:1"] * 4
    assert purge.asked.count("a:1") == 1, "it comes last for a while"
    purge.clock.advance(10)
    purge.answers["a:1"] = "yes"
    assert {await purge.grant() for _ in range(2)} == {"a:1", "b:1"}


async def test_a_grant_that_is_refused_by_all_says_why() -> None:
    purge = Purge(2)
    purge.answers = dict.fromkeys(purge.targets, Unavailable("REGISTRY_UNSAFE", "Persistence is on."))
    with pytest.raises(Unavailable) as refusal:
        await purge.grant()
    assert refusal.value.reason == "REGISTRY_UNSAFE"
    assert len(purge.asked) == 2


async def test_a_quota_is_everybodys() -> None:
    purge = Purge(2)
    purge.answers = dict.fromkeys(purge.targets, Exhausted("QUOTA_EXCEEDED", "Tomorrow."))
    with pytest.raises(Exhausted):
        await purge.grant()
    assert len(purge.asked) == 1


async def test_the_home_is_asked_first_and_alone() -> None:
    purge = Purge()
    purge.replicas.learn(PHOTO, "purge-2")
    assert await purge.about() == "yes"
    assert purge.asked == ["c:1"]


async def test_a_redirect_is_followed_and_remembered() -> None:
    purge = Purge()
    purge.answers["a:1"] = purge.answers["b:1"] = elsewhere("purge-2")
    await purge.about()
    await purge.about()
    assert purge.asked == ["a:1", "c:1", "c:1"]


async def test_redirects_in_a_circle_end() -> None:
    purge = Purge()
    purge.answers = {
        "a:1": elsewhere("purge-1"),
        "b:1": elsewhere("purge-2"),
        "c:1": elsewhere("purge-0"),
    }
    began = purge.clock.monotonic()
    with pytest.raises(Unanswered):
        await purge.about()
    assert purge.clock.monotonic() - began < 10
    assert max(purge.asked.count(target) for target in purge.targets) < 40


@pytest.mark.parametrize("registry", ["purge-9", ""])
async def test_a_redirect_to_nobody_we_know(registry: str) -> None:
    purge = Purge()
    purge.answers = dict.fromkeys(purge.targets, elsewhere(registry))
    with pytest.raises(Unavailable) as refusal:
        await purge.about()
    assert refusal.value.reason == "REGISTRY_UNAVAILABLE", "an app need not know of replicas"


async def test_a_dead_homes_lease_is_waited_for_until_another_takes_it() -> None:
    """The others believe in the home for three seconds; then the one that is asked adopts the lease."""
    purge = Purge(2)
    purge.replicas.learn(PHOTO, "purge-0")
    purge.die("a:1")
    dies_at = purge.clock.monotonic() + 3
    purge.answers["b:1"] = lambda: "adopted" if purge.clock.monotonic() >= dies_at else elsewhere("purge-0")
    assert await purge.about() == "adopted"
    assert purge.replicas.home(PHOTO) == "purge-1"
    purge.asked.clear()
    await purge.about()
    assert purge.asked == ["b:1"]


async def test_a_home_that_hangs_is_passed_over_from_then_on() -> None:
    """Its stream is still up; each question would take seconds."""
    purge = Purge(2)
    purge.replicas.learn(PHOTO, "purge-0")
    purge.answers["a:1"] = Unanswered()
    await purge.about()
    assert purge.asked == ["a:1", "b:1"]


async def test_nobody_is_waited_for_when_nobody_listens() -> None:
    purge = Purge(2)
    for target in purge.targets:
        purge.die(target)
    began = purge.clock.monotonic()
    with pytest.raises(Unavailable):
        await purge.about()
    assert purge.clock.monotonic() - began < 1


async def test_one_replica_is_asked_once_and_given_its_time() -> None:
    purge = Purge(1)
    purge.answers["a:1"] = Unanswered()
    with pytest.raises(Unavailable):
        await purge.about()
    with pytest.raises(Unavailable):
        await purge.grant()
    assert (purge.asked, purge.seconds) == (["a:1"] * 2, [15.0, 5.0])


async def test_what_the_home_says_is_so() -> None:
    purge = Purge()
    purge.replicas.learn(PHOTO, "purge-1")
    purge.answers["b:1"] = no_such_photo()
    with pytest.raises(NotFound):
        await purge.about()
    assert purge.asked == ["b:1"]


async def test_without_a_home_that_is_known_all_must_agree_that_there_is_no_such_photo() -> None:
    purge = Purge()
    purge.answers["a:1"] = purge.answers["b:1"] = no_such_photo()
    assert await purge.about() == "yes"
    assert purge.replicas.home(PHOTO) == "purge-2"
    purge = Purge()
    purge.answers = dict.fromkeys(purge.targets, no_such_photo())
    with pytest.raises(NotFound):
        await purge.about()
    assert sorted(purge.asked) == purge.targets


async def test_another_reason_to_come_again_is_the_callers() -> None:
    purge = Purge()
    purge.answers = dict.fromkeys(purge.targets, Unavailable("NOT_PARKED_YET", "Soon."))
    with pytest.raises(Unavailable) as refusal:
        await purge.about()
    assert refusal.value.reason == "NOT_PARKED_YET"
    assert len(purge.asked) == 1


def test_homes_are_remembered_within_a_bound() -> None:
    replicas = Purge().replicas
    for number in range(10_000):
        replicas.learn(f"{number:032x}", "purge-1")
    assert len(replicas._homes) == 4096
    assert replicas.home(f"{9_999:032x}") == "purge-1"
    assert not replicas.home(f"{0:032x}")
