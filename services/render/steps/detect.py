"""Where faces are, by a detector: asked about the subject, and once more turned where it sees none (a lying child).

Only the place and the size of a face are taken from it; nothing that would tell one face from another.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from services.render.steps.pixels import Array, resize
from services.render.steps.workspace import Face, Networks

SIDE = 640  # the network's fixed input
OUTPUTS = ("cls_8", "cls_16", "cls_32", "obj_8", "obj_16", "obj_32", "bbox_8", "bbox_16", "bbox_32")
LEAST_SCORE = 0.3  # on the subject only, where one too many costs style and one too few costs a face
MOST = 8  # faces; beyond it is a crowd
_STRIDES = (8, 16, 32)
_UPRIGHT = 1.25  # how much more a score counts there: in a family, those who stand are not lost for one who lies
_PART = SIDE // 2  # px: what is looked at, once for each way of lying; the network knows faces of 10 to 300 px
_OVERLAP = 0.3  # intersection over union from which two candidates are one face (Wu et al., 2023)
# From the detector's box (brows to chin, ear to ear) to a head's ellipse: skin that is protected reaches the hair.
_WIDER, _HIGHER, _UP = 0.60, 0.66, 0.05


def candidates(outputs: Sequence[Array]) -> Array:
    """What the network says (OUTPUTS, each (1, N, 1 or 4)) -> (N, 5), as ``Networks.faces`` has it.

    As OpenCV's FaceDetectorYN reads it: a box's middle in strides from its cell's corner, its size as a logarithm of
    strides, its score the geometric mean of class and objectness.
    """
    found = []
    for at, stride in enumerate(_STRIDES):
        cls, obj, box = (np.asarray(outputs[at + 3 * kind][0], np.float32) for kind in range(3))
        score = np.sqrt(np.clip(cls[:, 0], 0, 1) * np.clip(obj[:, 0], 0, 1))
        row, column = np.divmod(np.arange(len(score)), SIDE // stride)
        likely = score >= LEAST_SCORE
        x, y = ((column + box[:, 0]) * stride)[likely], ((row + box[:, 1]) * stride)[likely]
        wide, high = (np.exp(np.clip(box[:, 2:], -8, 8)) * stride)[likely].T / 2
        found.append(np.stack([x - wide, y - high, x + wide, y + high, score[likely]], axis=1))
    return np.concatenate(found).astype(np.float32)


def heads(photo: Array, box: tuple[int, int, int, int], networks: Networks) -> tuple[Face, ...]:
    """The largest first; empty where none is seen. box: left, top, right, bottom of what is looked at, px.

    The network sees it upright and turned by each quarter at once; the way in which it is surest of a face counts.
    """
    left, top, right, bottom = box
    part = photo[top:bottom, left:right]
    height, width = part.shape[:2]
    scale = _PART / max(height, width)
    small = np.clip(resize(part, max(1, round(width * scale)), max(1, round(height * scale))), 0, 1)
    square = np.zeros((SIDE, SIDE, 3), np.float32)
    for turns in range(4):
        turned = np.rot90(small, turns)
        y, x = _corner(turns)
        square[y : y + turned.shape[0], x : x + turned.shape[1]] = turned
    found = networks.faces(square)
    ways = [_way(found, turns, small.shape[0], small.shape[1]) for turns in range(4)]
    turns = max(range(4), key=lambda way: float(ways[way][:, 4].max(initial=0)) * (_UPRIGHT if way == 0 else 1))
    heads = [_head(each / scale, turns, left, top) for each in _apart(ways[turns])[:MOST]]
    return tuple(sorted(heads, key=lambda face: -face.rx * face.ry))


def _corner(turns: int) -> tuple[int, int]:
    """(y, x) of the quarter of the network's square in which the picture stands that was turned so often."""
    return _PART * (turns // 2), _PART * (turns % 2)


def _way(found: Array, turns: int, height: int, width: int) -> Array:
    """(N, 5): those in one quarter, in px of the (height, width) picture before it was turned."""
    y, x = _corner(turns)
    middle = (found[:, :2] + found[:, 2:4]) / 2 - (x, y)
    inside = found[(middle >= 0).all(axis=1) & (middle < _PART).all(axis=1)]
    boxes = _turned_back(inside[:, :4] - (x, y, x, y), turns, height, width)
    return np.concatenate([boxes, inside[:, 4:]], axis=1)


def _apart(found: Array) -> Array:
    """Greedy non-maximum suppression: of those that overlap, the one of the highest score."""
    found = found[np.argsort(-found[:, 4], kind="stable")]
    kept: list[Array] = []
    for each in found:
        if all(_overlap(each, other) < _OVERLAP for other in kept):
            kept.append(each)
    return np.stack(kept) if kept else np.zeros((0, 5), np.float32)


def _overlap(a: Array, b: Array) -> float:
    wide = min(a[2], b[2]) - max(a[0], b[0])
    high = min(a[3], b[3]) - max(a[1], b[1])
    both = max(0.0, float(wide)) * max(0.0, float(high))
    return both / (float((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1])) - both + 1e-6)


def _turned_back(found: Array, turns: int, height: int, width: int) -> Array:
    """Boxes in a picture that ``rot90`` turned -> in the (height, width) picture itself."""
    left, top, right, bottom = found.T
    match turns:
        case 1:
            return np.stack([width - bottom, left, width - top, right], axis=1)
        case 2:
            return np.stack([width - right, height - bottom, width - left, height - top], axis=1)
        case 3:
            return np.stack([top, height - right, bottom, height - left], axis=1)
    return found


def _head(box: Array, turns: int, left: int, top: int) -> Face:
    wide, high = float(box[2] - box[0]), float(box[3] - box[1])
    x, y = left + float(box[0] + box[2]) / 2, top + float(box[1] + box[3]) / 2
    if turns % 2:
        return Face(x + (_UP * wide if turns == 1 else -_UP * wide), y, _HIGHER * wide, _WIDER * high)
    return Face(x, y + (_UP * high if turns == 2 else -_UP * high), _WIDER * wide, _HIGHER * high)
