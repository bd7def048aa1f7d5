"""Stories: events as data, so that they can be drawn by weight, cut down to what matters, written down and told again.

``python -m tests.unit.services.purge.model.story SECONDS [RULE …]`` looks for a story that breaks a promise, without
the rules that are named.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Sequence

from services.purge.lease import Outcome
from tests.unit.services.purge.model.replica_model import Rules
from tests.unit.services.purge.model.world import FATES, World

Event = tuple[str | int | None, ...]
_WEIGHTS = {
    "run": 30, "step": 12, "tick": 8, "grant": 4, "end": 6, "settle": 6, "scan": 8, "hold": 4, "release": 4,
    "deliver": 8, "crash": 3, "restart": 3, "pause": 2, "resume": 2, "cut": 2, "heal": 2, "lose": 2, "arrive": 3,
    "die": 1, "reconnect": 1, "part": 1,
}  # fmt: skip


def draw(rng: random.Random, world: World) -> Event:
    """One event, by weight; a small number of each kind of thing makes them meet."""
    kind = rng.choices(list(_WEIGHTS), list(_WEIGHTS.values()))[0]
    n, photo = rng.randrange(len(world.replicas)), rng.randrange(max(1, len(world.expiries)))
    match kind:
        case "run":
            return kind, n, rng.randrange(1, 6)
        case "step":
            return kind, n, rng.randrange(4), rng.choice(FATES)
        case "tick":
            return kind, rng.randrange(1, 5)
        case "end":
            return kind, n, photo, rng.choice(list(Outcome)).value
        case "settle":
            return kind, n, photo
        case "hold" | "release":
            return kind, rng.randrange(2), photo
        case "deliver":
            return kind, rng.randrange(2), n, rng.randrange(1, 5)
        case "lose":
            return kind, rng.choice([None, 1, 2, 3, 4, 6])
        case "die":
            return kind, rng.randrange(2)
        case "reconnect":
            return kind, rng.randrange(2), n, rng.randrange(1, 4)
        case "arrive" | "part":
            return (kind,)
        case _:
            return kind, n


def do(world: World, event: Event) -> None:
    """Lets it happen; what cannot happen now is left out."""
    kind, *words = event
    a, b, c = [*words, None, None, None][:3]
    replica = world.replicas[a] if isinstance(a, int) and a < len(world.replicas) else world.replicas[0]
    match kind, a, b, c:
        case "grant", int(), _, _:
            if replica.runs and len(world.expiries) < 3:
                world.grant(a)
        case "run", int(), int(), _:
            for _ in range(b):
                if replica.runs and replica.tasks:
                    world.step(a)
                    world.check()
        case "step", int(), int(), str():
            if replica.runs and replica.tasks:
                world.step(a, b, c)
        case "tick", int(), _, _:
            for _ in range(a):
                world.tick()
                world.check()
        case "end", int(), int(), str():
            if replica.runs:
                world.end(a, b, Outcome(c))
        case "settle", int(), int(), _:
            if replica.runs:
                world.settle(a, b)
        case "scan", int(), _, _:
            if replica.runs:
                world.scan(a)
        case "hold", int(), int(), _:
            if world.now < world.expiries.get(b, 0):
                world.hold(a, b)
        case "release", int(), int(), _:
            world.release(a, b)
        case "deliver", int(), int(), int():
            for _ in range(c):
                world.deliver(a, b)
        case "crash", int(), _, _:
            if replica.up:
                world.crash(a)
        case "restart", int(), _, _:
            if not replica.up:
                world.restart(a)
        case (("pause" | "resume"), int(), _, _):
            replica.paused = replica.up and kind == "pause"
        case (("cut" | "heal"), int(), _, _):
            replica.linked = kind == "heal"
        case "lose", _, _, _:
            world.lose(a if isinstance(a, int) else None)
        case "arrive", _, _, _:
            if world.late:
                world.arrive(0)
        case "die", int(), _, _:
            world.die(a)
        case "reconnect", int(), int(), int():
            world.reconnect(a, b, c)
        case "part", _, _, _:
            world.apart = not world.apart
        case _:
            raise ValueError(event)


def tell(story: Sequence[Event], rules: Rules, replicas: int = 2) -> str:
    """The promise that the story breaks, or nothing."""
    world = World(rules, replicas)
    try:
        for event in story:
            do(world, event)
            world.check()
        world.rest()
    except AssertionError as error:
        return str(error).partition("\n")[0] or "a promise"
    return ""


def cut_down(story: list[Event], rules: Rules, replicas: int = 2) -> list[Event]:
    """Without each event that it can do without."""
    shorter = True
    while shorter:
        shorter = False
        for at in reversed(range(len(story))):
            without = story[:at] + story[at + 1 :]
            if tell(without, rules, replicas):
                story, shorter = without, True
    return story


def search(seed: int, rules: Rules, *, stories: int, length: int = 40, replicas: int = 2) -> list[Event]:
    """The first story of so many that breaks a promise, cut down; empty if none does."""
    rng = random.Random(seed)
    for _ in range(stories):
        world, story = World(rules, replicas), list[Event]()
        try:
            for _ in range(length):
                event = draw(rng, world)
                story.append(event)
                do(world, event)
                world.check()
            world.rest()
        except AssertionError:
            return cut_down(story, rules, replicas)
    return []


def main() -> None:
    seconds, without = float(sys.argv[1]), sys.argv[2:]
    rules = Rules(**dict.fromkeys(without, False))
    until, told, replicas = time.monotonic() + seconds, 0, 2
    while time.monotonic() < until:
        if story := search(seed := time.time_ns(), rules, stories=500, replicas=replicas):
            sys.exit(f"{tell(story, rules, replicas)} (seed {seed}, {replicas} replicas): {story}")
        told, replicas = told + 500, 5 - replicas
    sys.stdout.write(f"{told} stories, no promise broken\n")


if __name__ == "__main__":
    main()
