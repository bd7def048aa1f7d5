"""Which replica of purge to ask. Decisions only; ``peers.py`` does the asking.

A lease is granted by any replica that listens to this gateway, each in turn; from then on that one is its home, and
calls about the photo go there first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from mesh.clock import Clock
from mesh.custody.book import CustodyBook

_MAX_HOMES = 4096  # photos whose home is remembered; any other replica says where the home of the rest is
_SHUNNED_SECONDS = 5.0  # a replica that didn't answer is asked last for so long


class Replicas:
    """targets: the addresses of all. book: knows which of them listen, and their names."""

    def __init__(self, targets: Iterable[str], book: CustodyBook, clock: Clock) -> None:
        self._targets = tuple(targets)
        self._book = book
        self._clock = clock
        self._names: dict[str, str] = {}
        self._homes: dict[str, str] = {}
        self._shunned: dict[str, float] = {}
        self._turn = 0

    @property
    def are_several(self) -> bool:
        return len(self._targets) > 1

    @property
    def attended(self) -> Mapping[str, str]:
        """Those that listen now: target → name."""
        self._names.update(self._book.attended)
        return self._book.attended

    def for_grant(self) -> list[str]:
        """Those that listen, another one first each time; who has just failed to answer comes last."""
        self._turn += 1
        attended = [target for target in self._targets if target in self.attended]
        at = self._turn % max(len(attended), 1)
        return self._by_health(attended[at:] + attended[:at])

    def for_photo(self, photo_id: str) -> list[str]:
        """The photo's home, if it is known; then those that listen, then the rest."""
        attended = self.attended
        home = self.at(self._homes.get(photo_id, ""))
        others = self._by_health(sorted(self._targets, key=lambda target: target not in attended))
        if home is None or home not in attended or self._is_shunned(home):
            # It may be dead, and others can tell.
            return others
        return [home, *(target for target in others if target != home)]

    def knows(self, photo_id: str) -> bool:
        """Whether the photo's home is known."""
        return photo_id in self._homes

    def home(self, photo_id: str) -> str:
        """Its name; empty if it isn't known."""
        return self._homes.get(photo_id, "")

    def learn(self, photo_id: str, registry: str) -> None:
        """The replica of that name is the photo's home."""
        self._homes.pop(photo_id, None)
        if registry:
            self._homes[photo_id] = registry
        while len(self._homes) > _MAX_HOMES:
            del self._homes[next(iter(self._homes))]

    def learn_at(self, photo_id: str, target: str) -> None:
        """The replica at this address has answered for the photo."""
        self.learn(photo_id, self.attended.get(target) or self._names.get(target, ""))

    def at(self, registry: str) -> str | None:
        """The address of the replica of that name, as far as it ever said its name."""
        named = {**self._names, **self.attended}
        return next((target for target, name in named.items() if registry and name == registry), None)

    def failed(self, target: str) -> None:
        """It did not answer."""
        self._shunned[target] = self._clock.monotonic() + _SHUNNED_SECONDS

    def _by_health(self, targets: Sequence[str]) -> list[str]:
        return sorted(targets, key=self._is_shunned)

    def _is_shunned(self, target: str) -> bool:
        now = self._clock.monotonic()
        return self._shunned.get(target, now) > now
