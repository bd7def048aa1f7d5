"""Every layer paints within bounds, on upright and lying boards, and the same for the same numbers."""

from __future__ import annotations

import numpy as np
import pytest

from services.render.steps import strokes
from services.render.steps.backdrop import LAYERS
from services.render.steps.layers.board import Board, blank, fbm
from services.render.steps.pixels import blur, from_lab, guided, resize, to_lab

EXTRA: dict[str, dict[str, object]] = {
    "balloons": {"places": [[0.4, 0.4, 0.15]]},
    "boats": {"places": [[0.4, 0.6, 0.2]]},
    "fronds": {"places": [[0.1, 1.0, 0.4]]},
    "planets": {"places": [[0.4, 0.4, 0.15]]},
    "toy_balloons": {"places": [[0.4, 0.4, 0.15]]},
}


def _board(height: int, width: int) -> Board:
    return blank(height, width, (0.7, 0.3), (1.0, 0.9, 0.7), (0.6, 0.65, 0.8))


@pytest.mark.parametrize("size", [(120, 96), (96, 120)])
@pytest.mark.parametrize("name", sorted(LAYERS))
def test_a_layer_paints(name: str, size: tuple[int, int]) -> None:
    painted = []
    for _ in range(2):
        board = _board(*size)
        LAYERS[name].bind(EXTRA.get(name, {}))(board, np.random.default_rng(4))
        painted.append(board)
    board = painted[0]
    assert np.array_equal(board.rgb, painted[1].rgb)
    assert np.isfinite(board.rgb).all()
    assert board.rgb.min() >= -1e-4
    assert board.rgb.max() <= 1 + 1e-4
    assert 0 <= board.alpha.min() <= board.alpha.max() <= 1
    assert board.rgb.max() > 0, "it painted nothing"


def test_over_clips_at_every_border() -> None:
    board = _board(20, 30)
    for top, left in ((-5, -5), (15, 25), (-50, 0), (0, 90), (5, 5)):
        board.over((1.0, 1.0, 1.0), np.ones((10, 10), np.float32), top, left)
    assert board.alpha.sum() == 5 * 5 + 5 * 5 + 10 * 10 - 0


def test_noise_is_centred_and_not_flat() -> None:
    noise = fbm(np.random.default_rng(1), 200, 160, 30)
    assert abs(noise.mean() - 0.5) < 0.1
    assert 0.1 < noise.std() < 0.35


def test_strokes_keep_the_picture_and_break_its_surface() -> None:
    y, x = np.mgrid[0:96, 0:120].astype(np.float32) / 120
    rgb = np.stack([x, y, 1 - x], axis=-1)
    out = strokes.painted(rgb, np.random.default_rng(1), 6.0, relief=0.5)
    assert out.shape == rgb.shape
    assert np.abs(blur(out, 6) - blur(rgb, 6)).mean() < 0.03
    assert np.abs(out - rgb).max() > 0.03
    assert np.array_equal(out, strokes.painted(rgb, np.random.default_rng(1), 6.0, relief=0.5))


def test_a_flat_picture_has_nothing_to_refine() -> None:
    flat = np.full((40, 40, 3), 0.4, np.float32)
    out = strokes.painted(flat, np.random.default_rng(1), 6.0, relief=0, where=np.zeros((40, 40), np.float32))
    assert np.allclose(out, flat, atol=0.01)


def test_strokes_stay_where_they_are_allowed() -> None:
    rgb = np.random.default_rng(2).random((80, 80, 3)).astype(np.float32)
    where = np.zeros((80, 80), np.float32)
    where[:, 60:] = 1
    base = strokes.painted(rgb, np.random.default_rng(1), 6.0, relief=0, where=where * 0)
    out = strokes.painted(rgb, np.random.default_rng(1), 6.0, relief=0, where=where)
    assert np.allclose(out[:, :40], base[:, :40], atol=0.01)
    assert np.abs(out[:, 64:] - base[:, 64:]).mean() > 0.01


def test_the_network_cannot_move_light_beyond_its_limit() -> None:
    rgb = np.full((64, 64, 3), 0.5, np.float32)
    wild = np.random.default_rng(1).random((64, 64, 3)).astype(np.float32)
    out = strokes.neural(rgb, wild, 1.0, 0.0, limit=0.03)
    assert np.abs(out - rgb).max() <= 0.031


def test_lab_and_back() -> None:
    rgb = np.random.default_rng(1).random((16, 16, 3)).astype(np.float32)
    assert np.abs(from_lab(to_lab(rgb)) - rgb).max() < 0.01
    assert np.allclose(to_lab(np.ones((1, 1, 3), np.float32))[0, 0], (100, 0, 0), atol=0.2)


@pytest.mark.parametrize("sigma", [0.2, 1.0, 2.4, 8.0, 16.0])
def test_blur_keeps_the_mean_and_the_shape(sigma: float) -> None:
    picture = np.zeros((90, 110, 3), np.float32)
    picture[20:70, 30:80] = 1
    out = blur(picture, sigma)
    assert out.shape == picture.shape
    assert out.dtype == np.float32
    assert abs(out.mean() - picture.mean()) < 0.03


def test_guided_filter_snaps_to_the_guides_edge() -> None:
    guide = np.zeros((120, 120, 3), np.float32)
    guide[:, 60:] = 1
    soft = resize(np.tile(np.linspace(0, 1, 12, dtype=np.float32), (12, 1)), 120, 120)
    out = guided(guide, soft, radius=16, eps=1e-4)
    assert out[60, 66] - out[60, 53] > 0.18 > soft[60, 66] - soft[60, 53]
