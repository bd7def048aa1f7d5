"""Sharpens the cut-out's edge to the photo's pixels, and takes the old background's colour out of it.

1. a trimap from the coarse alpha; 2. inside its unknown band, alpha from the local foreground and background colours
(the matting equation I = aF + (1-a)B solved for a on the line from B to F), trusted where the two differ, and a guided
filter (He et al., 2010) where they don't; 3. foreground colours by blur fusion (Forte, 2021), so that no halo remains.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from services.render.steps.params import number
from services.render.steps.pixels import Array, blur, clip, guided, resize, smoothstep
from services.render.steps.step import Step
from services.render.steps.workspace import Tools, Workspace


@dataclass(frozen=True, slots=True)
class Params:
    band: float = number(0.012, 0.002, 0.05)  # half width of the unknown band, in shares of the longer side
    choke: float = number(0.10, 0, 0.4)  # alpha below this is taken for background: thin veils read as halos


def run(ws: Workspace, params: Params, tools: Tools) -> None:
    photo, coarse = ws.need_photo(), ws.need_alpha()
    ws.backdrop = photo
    if not ws.found:
        return  # the oval is soft on purpose
    band = params.band * max(photo.shape[:2])
    if ws.shape is None:
        coarse = _supported(coarse, band)
        # Half transparent inside is a network in doubt (a hand before a face), not a veil; a true gap is near 0 in it.
        sure_in = blur((coarse > 0.35).astype(np.float32), band / 2) > 0.97
        sure_out = blur((coarse > 0.15).astype(np.float32), band / 2) < 0.03
        follow = clip(guided(photo, coarse, radius=2.2 * band, eps=4e-4))
        line, trust = _colour_line(photo, sure_in, sure_out, band)
        alpha = follow + (line - follow) * trust
        alpha = np.where(sure_in, 1, np.where(sure_out, 0, alpha)).astype(np.float32)
        alpha = clip(blur(alpha, 0.6))
        alpha = smoothstep(params.choke, 1 - params.choke / 2, alpha)
        coarse = _largest(alpha)
    ws.alpha = coarse
    ws.photo = _foreground(photo, coarse)


def _supported(coarse: Array, band: float) -> Array:
    """Drops what the network half saw beside the subject (a flag, a chair's back): what lies neither near its sure core
    nor below it. Below hangs what belongs to a body: legs in shadow, the hem of a dress."""
    height, width = coarse.shape
    w, h = max(8, width // 8), max(8, height // 8)
    core = blur((resize(coarse, w, h) > 0.85).astype(np.float32), max(0.5, band / 8))
    below = np.maximum.accumulate(core, axis=0) > 0.5
    kept = np.maximum(smoothstep(0.02, 0.15, core), blur(below.astype(np.float32), 1.0))
    return coarse * clip(resize(np.asarray(kept, np.float32), width, height))


def _colour_line(photo: Array, sure_in: np.ndarray, sure_out: np.ndarray, band: float) -> tuple[Array, Array]:
    """Alpha (H, W) from local colours and how far to trust it, 0..1. Quarter size: colours vary slowly."""
    height, width = photo.shape[:2]
    w, h = max(8, width // 4), max(8, height // 4)
    small = resize(photo, w, h)
    local = []
    for sure in (sure_in, sure_out):
        weight = resize(sure.astype(np.float32), w, h)
        mass = np.zeros((h, w), np.float32)
        colour = np.zeros((h, w, 3), np.float32)
        square = np.zeros((h, w), np.float32)
        for sigma, share in ((band / 4 * 1.2, 1.0), (band / 4 * 3, 0.02)):  # near samples, far ones where none is near
            mass += share * blur(weight, sigma)
            colour += share * blur(small * weight[..., None], sigma)
            square += share * blur((small**2).sum(axis=-1) * weight, sigma)
        mass = np.maximum(mass, 1e-5)
        mean = colour / mass[..., None]
        local.append((mean, np.maximum(square / mass - (mean**2).sum(axis=-1), 0)))
    (fore, fore_var), (back, back_var) = local
    apart = ((fore - back) ** 2).sum(axis=-1)
    trust = resize(smoothstep(1.5, 8.0, apart / (fore_var + back_var + 0.004)), width, height)
    fore, back = resize(fore, width, height), resize(back, width, height)
    axis = fore - back
    line = ((photo - back) * axis).sum(axis=-1) / np.maximum((axis**2).sum(axis=-1), 1e-4)
    return clip(np.asarray(line, np.float32)), clip(trust) * np.float32(0.85)


def _largest(alpha: Array) -> Array:
    """Drops islands: keeps what is connected (at 1/8 size) to the heaviest part."""
    height, width = alpha.shape
    w, h = max(8, width // 8), max(8, height // 8)
    solid = resize(alpha, w, h) > 0.25
    heat = blur(solid.astype(np.float32), 3)
    seed = np.unravel_index(int(heat.argmax()), heat.shape)
    grown = np.zeros_like(solid)
    grown[seed] = solid[seed]
    while True:
        spread = grown.copy()
        spread[1:] |= grown[:-1]
        spread[:-1] |= grown[1:]
        spread[:, 1:] |= grown[:, :-1]
        spread[:, :-1] |= grown[:, 1:]
        spread &= solid
        if (spread == grown).all():
            break
        grown = spread
    # Second subjects stay when they are big: siblings belong into the picture.
    if grown.sum() < 0.7 * solid.sum():
        return alpha
    keep = resize((blur(grown.astype(np.float32), 1.0) > 0.05).astype(np.float32), width, height)
    return alpha * clip(keep)


def _foreground(photo: Array, alpha: Array) -> Array:
    """Blur fusion (Forte, "Approximate Fast Foreground Colour Estimation", ICIP 2021), two passes.

    The means are taken at half size: they are blurred anyway.
    """
    height, width = alpha.shape
    w, h = max(8, width // 2), max(8, height // 2)
    half, cover = resize(photo, w, h), clip(resize(alpha, w, h))
    mean_f, mean_b = _means(half, half, cover, 12.0)
    mean_f, mean_b = _means(_fused(half, cover, mean_f, mean_b), mean_b, cover, 2.0)
    fore = _fused(photo, alpha, resize(mean_f, width, height), resize(mean_b, width, height))
    return np.where(alpha[..., None] > 0.995, photo, fore).astype(np.float32)


def _means(fore: Array, back: Array, alpha: Array, sigma: float) -> tuple[Array, Array]:
    """The foreground's mean colour around each pixel, and the background's."""
    a = alpha[..., None]
    mean_f = blur(fore * a, sigma) / np.maximum(blur(alpha, sigma)[..., None], 1e-4)
    mean_b = blur(back * (1 - a), sigma) / np.maximum(blur(1 - alpha, sigma)[..., None], 1e-4)
    return mean_f, mean_b


def _fused(photo: Array, alpha: Array, mean_f: Array, mean_b: Array) -> Array:
    a = alpha[..., None]
    return clip(mean_f + a * (photo - a * mean_f - (1 - a) * mean_b))


STEP = Step(Params, run, cost=1.5)
