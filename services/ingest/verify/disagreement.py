"""The verdict that ends a photo: what the scrubber wrote isn't what may leave."""

from __future__ import annotations

from mesh.errors import Internal

REASON = "SCRUB_DISAGREEMENT"


class Disagreement(Internal):
    """A bug of ours, in the scrubber or in its verifier; the photo ends either way.

    The message is bare. ``rule`` is for tests and the log: which rule was broken, a constant of this package.
    """

    def __init__(self, rule: str) -> None:
        super().__init__(REASON, "Internal error.")
        self.rule = rule


def require(holds: bool, rule: str) -> None:
    """Raise Disagreement unless the rule holds."""
    if not holds:
        raise Disagreement(rule)
