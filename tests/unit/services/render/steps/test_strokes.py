"""Brush strokes: each one's chance is its place's, so what is painted in one place changes nothing in another."""

from __future__ import annotations

import numpy as np
import pytest

from services.render.steps import strokes
from services.render.steps.chance import Chance
from services.render.steps.pixels import Array

HEIGHT, WIDTH, BRUSH = 160, 200, 8.0


def _scenery() -> Array:
    """Smooth, with an edge: fine strokes find something lost."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    rgb = np.stack([x / WIDTH, y / HEIGHT, 0.5 + 0.4 * np.sin(x / 9) * np.cos(y / 13)], axis=-1)
    rgb[:, 120:] *= np.float32(0.6)
    return np.asarray(rgb, np.float32)


def _painted(rgb: Array, where: Array | None = None, seed: int = 3, corner: tuple[int, int] = (0, 0)) -> Array:
    return strokes.painted(rgb, np.random.default_rng(seed), BRUSH, 1.5, 0.0, where, corner=corner)


def test_a_seed_gives_its_strokes_and_another_gives_others() -> None:
    rgb = _scenery()
    assert np.array_equal(_painted(rgb), _painted(rgb))
    assert np.abs(_painted(rgb) - _painted(rgb, seed=4)).mean() > 0.01


def test_strokes_that_are_left_out_move_no_others() -> None:
    rgb, where = _scenery(), np.ones((HEIGHT, WIDTH), np.float32)
    where[:40, :40] = 0
    whole, less = _painted(rgb), _painted(rgb, where)
    assert np.abs(whole - less)[:30, :30].mean() > 0.01
    assert np.array_equal(whole[80:], less[80:])
    assert np.array_equal(whole[:, 80:], less[:, 80:])


def test_a_detail_changes_the_strokes_about_it_only() -> None:
    rgb, other = _scenery(), _scenery()
    other[20:24, 20:24] = 1
    changed = np.abs(_painted(rgb) - _painted(other)).max(axis=-1)
    assert changed[:44, :44].max() > 0.1
    assert changed[100:, 100:].max() < 0.02


def test_a_part_of_a_picture_gets_the_strokes_that_it_has_in_the_whole() -> None:
    rgb = _scenery()
    whole, inside = _painted(rgb), (slice(32, 96), slice(32, 112))
    for top, left in ((16, 16), (12, 20)):
        part = _painted(rgb[top:, left:], corner=(top, left))
        moved = _painted(rgb[top:, left:])
        at = tuple(slice(each.start - less, each.stop - less) for each, less in zip(inside, (top, left), strict=True))
        assert np.abs(part[at] - whole[inside]).mean() < 0.3 * np.abs(moved[at] - whole[inside]).mean()


@pytest.mark.parametrize("size", [2.0, BRUSH, 30.0])
def test_whatever_is_painted_the_generator_goes_on_alike(size: float) -> None:
    after = []
    for rgb in (_scenery(), np.zeros((HEIGHT, WIDTH, 3), np.float32), _scenery()[:70, :90]):
        rng = np.random.default_rng(3)
        strokes.painted(rgb, rng, size)
        after.append(rng.random())
    assert len(set(after)) == 1


def test_chance_is_even_and_belongs_to_its_cell() -> None:
    rows, columns = np.mgrid[0:200, 0:200].reshape(2, -1)
    chance = Chance.of(7, rows, columns)
    numbers = np.stack([chance.uniform(purpose) for purpose in range(4)])
    assert np.allclose(numbers.mean(axis=1), 0.5, atol=0.01)
    assert np.allclose(numbers.std(axis=1), 12**-0.5, atol=0.01)
    assert np.abs(np.corrcoef(numbers) - np.eye(4)).max() < 0.03
    grid = numbers[0].reshape(200, 200)
    for beside in (np.roll(grid, 1, axis=0), np.roll(grid, 1, axis=1)):
        assert abs(np.corrcoef(grid.ravel(), beside.ravel())[0, 1]) < 0.03
    normal = chance.normal(4)
    assert np.allclose(normal.mean(axis=0), 0, atol=0.03)
    assert np.allclose(normal.std(axis=0), 1, atol=0.03)
    some = np.array([17, 3, 9000])
    assert np.array_equal(chance.some(some).uniform(0), numbers[0][some])
    assert np.array_equal(Chance.of(7, rows[some], columns[some]).uniform(0), numbers[0][some])
    assert abs(np.corrcoef(numbers[0], Chance.of(8, rows, columns).uniform(0))[0, 1]) < 0.03
