"""Sets the words: one line from the scene's list, in its typeface, in a calm place that is never the face.

Kerning and accents are the shaper's (Raqm); letters are spaced a little, as display type is.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from PIL import Image, ImageDraw

from services.render import fonts
from services.render.steps.params import Color, color, number, word
from services.render.steps.pixels import Array, blur, clip, from_bytes, luma, mix
from services.render.steps.step import Step
from services.render.steps.workspace import Face, Tools, Workspace

LEAST = 0.18  # difference in luma between words and what is behind them, below which ink and shade change places


@dataclass(frozen=True, slots=True)
class Params:
    font: str = word("serif", *fonts.FACES)
    size: float = number(0.085, 0.02, 0.3)  # em, in shares of the canvas's shorter side
    y: float = number(0.11, 0.02, 0.98)  # the line's middle
    ink: Color = color("#ffffff")
    shade: Color = color("#1c2436")  # of the soft shadow that lifts it off the painting
    lift: float = number(0.55, 0, 1)
    glow: float = number(0.0, 0, 1)  # light instead of shadow, for dark ink
    space: float = number(0.01, -0.05, 0.4)  # between letters, em
    case: str = word("as_is", "as_is", "upper", "title")
    rule: float = number(0.0, 0, 1)  # length of two fine lines beside the words, em


def run(ws: Workspace, params: Params, tools: Tools) -> None:
    if not ws.caption:
        return
    picture = ws.need_picture()
    height, width = picture.shape[:2]
    text = {"upper": ws.caption.upper(), "title": ws.caption[:1].upper() + ws.caption[1:]}.get(params.case, ws.caption)
    size = params.size * min(height, width)
    mask = _line(text, params, size)
    if mask.shape[1] > 0.88 * width:  # a longer language gets smaller type, not a second line
        mask = _line(text, params, size * 0.88 * width / mask.shape[1])
    top = round(params.y * height - mask.shape[0] / 2)
    left = (width - mask.shape[1]) // 2
    top = _clear_of(ws.face, top, left, mask, height)
    cover = np.zeros((height, width), np.float32)
    y0, y1 = max(0, top), min(height, top + mask.shape[0])
    cover[y0:y1, left : left + mask.shape[1]] = mask[y0 - top : y1 - top]
    ws.picture = _inked(picture, cover, _legible(params, picture, cover), size)


def _line(text: str, params: Params, size: float) -> Array:
    """Coverage (h, w) of one line, drawn at twice the size letter by letter where letters are spaced."""
    face = fonts.face(params.font, max(8, round(size * 2)))
    gap = params.space * size * 2
    # Pen positions from the whole line's kerned advances, plus the spacing: kerning survives it.
    pens = [face.getlength(text[: i + 1]) - face.getlength(text[i]) + i * gap for i in range(len(text))]
    wide = face.getlength(text) + gap * (len(text) - 1)
    ascent, descent = face.getmetrics()
    rule = round(params.rule * size * 2)
    margin = round(size * 0.5) + (rule + round(size * 0.7) if rule else 0)
    image = Image.new("L", (round(wide) + 2 * margin, ascent + descent + 8))
    draw = ImageDraw.Draw(image)
    for letter, pen in zip(text, pens, strict=True):
        draw.text((margin + pen, 4 + ascent), letter, font=face, fill=255, anchor="ls")
    if rule:
        y, thick = 4 + ascent - round(size * 0.48), max(2, round(size * 0.045))
        draw.rounded_rectangle([8, y, 8 + rule, y + thick], thick, fill=215)
        draw.rounded_rectangle([image.width - 8 - rule, y, image.width - 8, y + thick], thick, fill=215)
    small = image.resize((image.width // 2, image.height // 2), Image.Resampling.LANCZOS)
    return from_bytes(np.asarray(small))


def _clear_of(face: Face | None, top: int, left: int, mask: Array, height: int) -> int:
    """Moves the line up or down until it does not touch the face."""
    if face is None:
        return top
    face_top, face_bottom = face.y - face.ry, face.y + face.ry
    bottom = top + mask.shape[0]
    overlaps = (
        top < face_bottom and bottom > face_top and left < face.x + face.rx and left + mask.shape[1] > face.x - face.rx
    )
    if not overlaps:
        return top
    above, below = round(face_top) - mask.shape[0], round(face_bottom)
    return above if above > 0.01 * height and top < face.y else int(min(below, round(height * 0.98) - mask.shape[0]))


def _legible(params: Params, picture: Array, cover: Array) -> Params:
    """The scene's own ink on its own sky; where a subject came to stand behind the words, its shade takes its place."""
    behind = float((luma(picture) * cover).sum() / max(float(cover.sum()), 1.0))
    ink, shade = (float(luma(np.asarray(c, np.float32))) for c in (params.ink, params.shade))
    if abs(ink - behind) >= LEAST or abs(shade - behind) < abs(ink - behind):
        return params
    return replace(params, ink=params.shade, shade=params.ink, lift=max(params.lift, params.glow), glow=0.0)


def _inked(picture: Array, cover: Array, params: Params, size: float) -> Array:
    near, wide = blur(cover, size * 0.05), blur(cover, size * 0.32)
    drop = np.roll(near, (round(size * 0.035), round(size * 0.02)), axis=(0, 1))
    shade = clip(params.lift * (0.55 * drop + 1.9 * wide))[..., None]
    # A star beside a letter reads as an accent: what is behind the words is calmed first.
    out = mix(picture, blur(picture, size * 0.16), clip(wide * 4))
    out = out + (np.asarray(params.shade, np.float32) - out) * shade
    if params.glow > 0:
        out = out + (1 - out) * clip(params.glow * (wide * 1.6 + near * 0.4))[..., None]
    # Ink lets a little of the painting's grain through.
    grain = 1 - 0.10 * clip(np.abs(luma(picture) - blur(luma(picture), 2)) * 10)
    return clip(out + (np.asarray(params.ink, np.float32) - out) * (cover * 0.96 * grain)[..., None])


STEP = Step(Params, run, cost=0.3)
