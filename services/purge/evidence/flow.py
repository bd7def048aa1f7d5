"""The way of a photo as a picture: how many came in, who holds one now, how many ended, and how."""

from __future__ import annotations

from dataclasses import dataclass

from services.purge.evidence.figures import Figures
from services.purge.evidence.words import count

_WORDS = {
    "settled": "delivered, and gone",
    "revoked": "taken back, and gone",
    "expired": "out of time, and gone",
}


@dataclass(frozen=True, slots=True)
class _Box:
    x: float
    y: float
    width: float
    height: float
    kind: str
    title: str
    number: str
    small: str

    def svg(self) -> str:
        middle, top = self.x + self.width / 2, self.y
        return (
            f'<g class="box {self.kind}"><rect x="{self.x:g}" y="{top:g}" width="{self.width:g}" '
            f'height="{self.height:g}" rx="8"/>'
            f'<text x="{middle:g}" y="{top + 18:g}" class="title">{self.title}</text>'
            f'<text x="{middle:g}" y="{top + 44:g}" class="number">{self.number}</text>'
            f'<text x="{middle:g}" y="{top + 61:g}" class="small">{self.small}</text></g>'
        )


def draw(figures: Figures) -> str:
    """Two drawings of the same, of which the stylesheet shows the one that fits: lying, and standing for phones."""
    return _lying(figures) + _standing(figures)


def _lying(figures: Figures) -> str:
    boxes = [
        _admitted(figures, 4, 96, 150, 74),
        *[box for number, box in enumerate(_holders(figures, 236, 150, 74)) if number < 3],
        _parked(figures, 428, 184, 150, 74),
        *_ends(figures, [(672, 8), (672, 96), (672, 184)], 164, 74),
    ]
    lines = [
        "M154 133 H190 V45 H230", "M154 133 H230", "M190 133 V221 H230",  # admitted → holders
        "M386 45 H404 M386 133 H404 M386 221 H404 M404 45 V221", "M404 133 H620", "M404 221 H422",
        "M578 221 H596 V133", "M620 133 V45 H666", "M620 133 H666", "M620 133 V221 H666",
    ]  # fmt: skip
    return _svg("lying", 840, 266, boxes, lines)


def _standing(figures: Figures) -> str:
    boxes = [
        _admitted(figures, 91, 4, 178, 74),
        *_holders(figures, 8, 108, 74, down=False),
        _parked(figures, 91, 214, 178, 74),
        *_ends(figures, [(4, 320), (124, 320), (244, 320)], 112, 74, short=True),
    ]
    lines = [
        "M180 78 V94 H60 V104", "M180 78 V104", "M180 94 H300 V104",
        "M60 186 V200 H344 M180 186 V200 M300 186 V200", "M180 200 V210",
        "M344 200 V304 M180 288 V304 M60 304 H344", "M60 304 V316", "M180 304 V316", "M300 304 V316",
    ]  # fmt: skip
    return _svg("standing", 360, 400, boxes, lines)


def _svg(kind: str, width: int, height: int, boxes: list[_Box], lines: list[str]) -> str:
    arrows = "".join(f'<path d="{line}"{_marker(line, kind)}/>' for line in lines)
    drawn = "".join(box.svg() for box in boxes)
    return (
        f'<svg class="flow {kind}" viewBox="0 0 {width} {height}" role="img" aria-labelledby="flow-{kind}">'
        f'<title id="flow-{kind}">The way of a photo: admitted, held by gateway, ingest and render, ended</title>'
        f'<defs><marker id="arrow-{kind}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
        'orient="auto"><path class="head" d="M0 0 L8 4 L0 8 z"/></marker></defs>'
        f'<g class="lines">{arrows}</g>{drawn}</svg>'
    )


def _marker(line: str, kind: str) -> str:
    """Lines that lead into a box have a head; those that only join others have none."""
    joins = line.count("M") > 1 or line.endswith("V133")
    return "" if joins else f' marker-end="url(#arrow-{kind})"'


def _admitted(figures: Figures, x: float, y: float, width: float, height: float) -> _Box:
    return _Box(x, y, width, height, "in", "Admitted", count(figures.admitted), "in the last 24 h")


def _holders(figures: Figures, x: float, width: float, height: float, *, down: bool = True) -> list[_Box]:
    boxes = []
    for number, (service, held) in enumerate(figures.held.items()):
        left, top, size = (x, 8 + 88 * number, width) if down else (4 + 120 * number, 108, 112)
        kind = "now busy" if held else "now"
        boxes.append(_Box(left, top, size, height, kind, service.capitalize(), count(held), "held now"))
    return boxes


def _parked(figures: Figures, x: float, y: float, width: float, height: float) -> _Box:
    kind = "now busy" if figures.parked else "now"
    return _Box(x, y, width, height, kind, "Parked", count(figures.parked), "encrypted, for pick-up")


def _ends(
    figures: Figures, places: list[tuple[float, float]], width: float, height: float, *, short: bool = False
) -> list[_Box]:
    return [
        _Box(
            x, y, width, height, f"out {outcome}", outcome.capitalize(), count(number),
            "in 24 h" if short else _WORDS[outcome],
        )
        for (x, y), (outcome, number) in zip(places, figures.ended.items(), strict=True)
    ]  # fmt: skip
