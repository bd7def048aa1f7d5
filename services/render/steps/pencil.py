"""Draws the photo in pencil: lines where light breaks, hatching in three directions for its darks, on grained paper."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from services.render.steps import hatch, sheet
from services.render.steps.face import ellipse
from services.render.steps.oils import enlarged
from services.render.steps.params import Color, color, number
from services.render.steps.pixels import Array, blur, clip, guided_gray, luma, mix, smoothstep
from services.render.steps.step import Step
from services.render.steps.workspace import Tools, Workspace


@dataclass(frozen=True, slots=True)
class Params:
    paper: Color = color("#f6f1e6")
    ink: Color = color("#35343a")
    lines: float = number(0.9, 0, 1)
    hatching: float = number(0.75, 0, 1)
    rubbing: float = number(0.85, 0, 1)  # how far the hatching of a head is rubbed to a tone
    shading: float = number(0.35, 0, 1)  # rubbed tone below the hatching
    spread: float = number(0.12, 0.02, 0.5)
    tooth: float = number(0.5, 0, 1)


def run(ws: Workspace, params: Params, tools: Tools) -> None:
    photo, alpha, face = enlarged(ws)
    height, width = alpha.shape
    side = max(height, width)
    rng = np.random.default_rng([ws.job.seed & 0xFFFFFFFF, 31])
    near = smoothstep(0.15, 0.85, alpha)
    light = luma(photo)
    low, high = (float(v) for v in np.percentile(light[near > 0.5] if (near > 0.5).any() else light, (1, 99)))
    light = clip((light - low) / max(high - low, 0.1))
    dark = 1 - guided_gray(light, radius=side / 160, eps=0.003)
    reach = sheet.drawn(rng, near, face, params.spread, 0.8)
    # Behind the subject only loose hatching, darkest beside it: it sets the outline off, and ends in nothing.
    behind = 0.42 * smoothstep(0.0, 0.75, reach) * (0.6 + 0.6 * dark)
    dark = mix(behind, dark, near)
    shown = mix(smoothstep(0.02, 0.4, reach), np.ones_like(near), near * smoothstep(-0.05, 0.2, reach))
    # In heads the same tone is rubbed: the darker the skin, the denser its lines, and they would hide the face.
    soft = params.rubbing * ellipse(face, height, width) * near
    spacing = side / 330
    marks = np.zeros_like(dark)
    for angle, level in ((38, 0.30), (52, 0.52), (-30, 0.70), (8, 0.84)):
        stroke = smoothstep(0.40, 0.62, hatch.strokes(rng, height, width, angle, spacing))
        stroke = mix(stroke, np.full_like(stroke, stroke.mean()), soft)
        marks = 1 - (1 - marks) * (1 - stroke * smoothstep(level - 0.16, level + 0.10, dark) * 0.55 * params.hatching)
    rubbed = params.shading * dark**1.3
    line = _lines(light, side) * params.lines * mix(np.zeros_like(near), np.ones_like(near), smoothstep(0.6, 1, near))
    graphite = 1 - (1 - marks) * (1 - rubbed) * (1 - line)
    grain = 1 + params.tooth * 1.6 * (hatch.tooth(rng, height, width, side / 260) - 0.5) * (1 - 0.6 * soft)
    graphite = clip(graphite * grain) * shown
    paper, ink = np.asarray(params.paper, np.float32), np.asarray(params.ink, np.float32)
    ws.picture = clip(paper + (ink - paper) * graphite[..., None])
    fine = clip(0.92 * (1 - light) ** 0.9 * (0.75 + 0.25 * grain))
    ws.likeness = clip(paper + (ink - paper) * fine[..., None])
    ws.face = face


def _lines(light: Array, side: int) -> Array:
    """0..1: where the light dips against its surroundings, at two scales: features, then outlines."""
    out = np.zeros_like(light)
    for fine, share in ((side / 900, 1.0), (side / 420, 0.8)):
        base = blur(light, fine)
        dodge = base / np.maximum(blur(base, fine * 5), 0.03)  # a colour dodge: dark lines stay, broad tone goes
        out = np.maximum(out, share * smoothstep(0.03, 0.38, 1 - dodge))
    return out


STEP = Step(Params, run, cost=2.0)
