"""How a picture came about, in the words that machines read: IPTC's digital source types.

The vocabulary is http://cv.iptc.org/newscodes/digitalsourcetype/ (as of 2024-09-17); docs/marking.md says why each kind
of scene has which.
"""

from __future__ import annotations

from enum import StrEnum

from services.render.scene import RECIPE_ENGINES

VOCABULARY = "http://cv.iptc.org/newscodes/digitalsourcetype/"


class SourceType(StrEnum):
    """The two that a picture of ours can have. IPTC's names for them: "Edited using Generative AI", "Algorithmically-
    altered media"."""

    EDITED_BY_AI = "compositeWithTrainedAlgorithmicMedia"
    ALTERED = "algorithmicallyEnhanced"

    @property
    def uri(self) -> str:
        return VOCABULARY + self.value


def of(kind: str, engine: str) -> SourceType:
    """kind: a scene's; engine: who makes it. A recipe that enhances keeps the photo a photo."""
    if kind == "enhance" and engine in RECIPE_ENGINES:
        return SourceType.ALTERED
    return SourceType.EDITED_BY_AI
