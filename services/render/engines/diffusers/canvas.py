"""An empty canvas in the colours of the scene's light: what a model begins from, since its first steps keep them."""

from __future__ import annotations

import numpy as np

from services.render.steps import backdrop
from services.render.steps.pixels import mix
from services.render.steps.workspace import Workspace

NAME = "canvas"
COST = 0.1
_REACH = 0.5  # of the light, in shares of the canvas's shorter side


def run(ws: Workspace, params: backdrop.Params) -> None:
    """Sets ``picture``."""
    width, height = backdrop.canvas(ws)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    far = np.hypot(x - params.light[0] * width, y - params.light[1] * height) / (_REACH * min(width, height))
    glow = np.exp(-0.5 * far**2).astype(np.float32)
    ambient = np.broadcast_to(np.asarray(params.ambient, np.float32), (height, width, 3))
    ws.picture = mix(ambient, np.asarray(params.light_color, np.float32), glow)
