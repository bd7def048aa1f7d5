"""The one error that a check may raise, whatever bytes it was given."""

from __future__ import annotations


class VerificationError(ValueError):
    """Something that claims to be authentic is not, or can't be read strictly.

    check:     which check refused, one lowercase word ("signature", "inclusion", ...); stable, a program may read it.
    sentence:  one sentence for a person. It never quotes the refused bytes.
    """

    def __init__(self, check: str, sentence: str) -> None:
        super().__init__(f"{check}: {sentence}")
        self.check = check
        self.sentence = sentence
