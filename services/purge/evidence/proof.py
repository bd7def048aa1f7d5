"""An inclusion proof drawn as the path from a leaf to the root, each hash shown whole beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mesh.transparency.merkle import node_hash

_WIDTH, _BOX, _HIGH, _STEP = 360, 168, 36, 66
_LEFT, _RIGHT, _MIDDLE = 88, 272, 180


@dataclass(frozen=True, slots=True)
class Step:
    """One level: ``sibling`` stands on the left or on the right of the path, and both give ``parent``."""

    sibling: bytes
    left: bool
    parent: bytes


def steps(leaf: bytes, index: int, size: int, hashes: Sequence[bytes]) -> list[Step]:
    """RFC 9162, section 2.1.3.2, keeping what is computed on the way. hashes: as in the proof, leaf upwards."""
    place, last, computed, found = index, size - 1, leaf, []
    for sibling in hashes:
        left = bool(place & 1) or place == last
        computed = node_hash(sibling, computed) if left else node_hash(computed, sibling)
        found.append(Step(sibling, left, computed))
        if left:
            while place and not place & 1:
                place, last = place >> 1, last >> 1
        place, last = place >> 1, last >> 1
    return found


def draw(leaf: bytes, path: Sequence[Step], what: str) -> str:
    """The root above, the leaf below, at each level the two that give what is above them. Numbers as in ``listed``.

    what: the leaf is of, "receipt".
    """
    height = _STEP * len(path) + _HIGH + 4
    lines, boxes = [], []
    value, y = leaf, height - _HIGH - 2
    for number, step in enumerate(path):
        place = _RIGHT if step.left else _LEFT
        other = _WIDTH - place
        above = _MIDDLE if number + 1 == len(path) else _RIGHT if path[number + 1].left else _LEFT
        for x, kind in ((other, "given"), (place, "own")):
            lines.append(f'<path class="{kind}" d="M{x} {y} V{y - 15} H{above} V{y - _STEP + _HIGH}"/>')
        boxes.append(
            _box(place, y, "leaf" if not number else "own", f"0 the {what}" if not number else str(number), value)
        )
        boxes.append(_box(other, y, "given", "given by the proof", step.sibling))
        value, y = step.parent, y - _STEP
    name = f"{len(path)} the root, as signed" if path else f"0 the {what}, and the root"
    boxes.append(_box(_MIDDLE, y, "root", name, value))
    return (
        f'<svg class="proof" viewBox="0 0 {_WIDTH} {height}" role="img" aria-labelledby="proof-title">'
        f'<title id="proof-title">The way from the {what} to the root of the log, in {len(path)} steps</title>'
        f"{''.join(lines)}{''.join(boxes)}</svg>"
    )


def _box(x: int, y: int, kind: str, name: str, value: bytes) -> str:
    return (
        f'<g class="{kind}"><rect x="{x - _BOX // 2}" y="{y}" width="{_BOX}" height="{_HIGH}" rx="6"/>'
        f'<text x="{x}" y="{y + 15}" class="name">{name}</text>'
        f'<text x="{x}" y="{y + 29}" class="hash">{value.hex()[:16]}…</text></g>'
    )


def listed(leaf: bytes, path: Sequence[Step], what: str) -> str:
    """Every hash, whole, with what it is computed from."""
    rows = [f'<li value="0"><b>the {what}</b>: SHA-256(00 ‖ the log’s entry of it)<code>{leaf.hex()}</code></li>']
    for number, step in enumerate(path, 1):
        pair = f"given ‖ {number - 1}" if step.left else f"{number - 1} ‖ given"
        name = "<b>the root</b>" if number == len(path) else "a node"
        rows.append(
            f'<li value="{number}">{name}: SHA-256(01 ‖ {pair})<code>{step.parent.hex()}</code>'
            f"given, on the {'left' if step.left else 'right'}<code>{step.sibling.hex()}</code></li>"
        )
    return f'<ol class="hashes" start="0">{"".join(rows)}</ol>'
