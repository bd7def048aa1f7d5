"""The bars of how long photos lived: each says of which seconds it is, the last one too."""

from __future__ import annotations

import re

from services.purge.day import RESIDENCY
from services.purge.evidence.figures import Figures
from services.purge.evidence.residency import draw


def drawn(*bars: int) -> str:
    return draw(Figures(0, 0, {}, 0, 0, {}, bars, 0, None))


def test_each_bar_has_its_bound_below_it() -> None:
    picture = drawn(*range(len(RESIDENCY) + 1))
    labels = re.findall(r'<text class="label"[^>]*>([^<]*)<', picture)
    assert labels == [
        *map(str, RESIDENCY),
        "&gt;600",
        "seconds that they lived, at most; last bar: longer",
    ]
    assert "≤ 2 s: 1, " in picture and "&gt; 600 s: 10</title>" in picture
    assert "≤ 1 s" not in picture, "a bar of none is not read out"


def test_no_bars_are_a_sentence() -> None:
    assert drawn(*[0] * (len(RESIDENCY) + 1)) == '<p class="none">No photo ended in the last 24 hours.</p>'
