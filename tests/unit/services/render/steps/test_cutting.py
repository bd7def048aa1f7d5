"""From a photo to a cut-out with its heads: on drawn photos whose outline and face are known."""

from __future__ import annotations

import numpy as np
import pytest

from services.render.steps import (
    cut_out,
    decode,
    face,
    refine,
    tone,
)
from services.render.steps.pixels import Array, blur
from services.render.steps.workspace import RecipeOrder
from tests.scene_subjects import FACE, FlatNetworks, child, job, outline, saved, tools, workspace
from tests.unit.services.render.steps.prepared import cut, photo


def test_a_step_before_what_it_needs_is_a_mistake_in_the_recipe() -> None:
    with pytest.raises(RecipeOrder):
        tone.STEP.run(workspace(job(b"")), tone.Params(), tools())


def test_cut_out_finds_what_the_network_sees() -> None:
    ws = photo()
    cut_out.STEP.run(ws, cut_out.Params(), tools())
    assert ws.found
    assert ws.need_alpha().shape == (300, 240)


@pytest.mark.parametrize("mask", [np.zeros((320, 320), np.float32), np.ones((320, 320), np.float32)])
def test_without_a_subject_a_soft_oval_is_taken(mask: Array) -> None:
    ws = photo()
    cut_out.STEP.run(ws, cut_out.Params(), tools(FlatNetworks(mask)))
    assert not ws.found
    alpha = ws.need_alpha()
    assert alpha[150, 120] > 0.99
    assert alpha[0, 0] < 0.01


def test_a_photo_that_brings_transparency_is_cut_out_already() -> None:
    ws = photo()
    ws.shape = outline(240, 300)
    cut_out.STEP.run(ws, cut_out.Params(), tools(FlatNetworks(np.zeros((320, 320), np.float32))))
    assert np.array_equal(ws.need_alpha(), ws.shape)


def test_refine_finds_the_true_edge_from_a_blurred_one() -> None:
    ws = photo()
    true = outline(240, 300)
    ws.alpha = np.asarray(blur(true, 4.0), np.float32)
    rough = np.abs(ws.alpha - true).mean()
    refine.STEP.run(ws, refine.Params(), tools())
    assert np.abs(ws.need_alpha() - true).mean() < 0.5 * rough
    assert 0 <= ws.need_alpha().min() <= ws.need_alpha().max() <= 1


def test_refine_takes_the_old_background_out_of_the_edge() -> None:
    """On red, a subject from a green wall shows no green rim."""
    height, width = 200, 200
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    true = np.clip(60.5 - np.hypot(x - 100, y - 100), 0, 1)
    true = np.asarray(blur(true.astype(np.float32), 1.5), np.float32)
    subject, wall = np.array([0.8, 0.3, 0.3], np.float32), np.array([0.1, 0.9, 0.1], np.float32)
    ws = photo()
    ws.photo = wall + (subject - wall) * true[..., None]
    ws.alpha, ws.found = true, True
    refine.STEP.run(ws, refine.Params(), tools())
    band = (ws.need_alpha() > 0.2) & (ws.need_alpha() < 0.95)
    assert band.sum() > 50
    assert ws.need_photo()[band][:, 1].mean() < 0.40, "the subject's green is 0.3, the wall's 0.9"


def test_refine_drops_what_was_half_seen_beside_the_subject_and_keeps_what_hangs_below() -> None:
    coarse = np.zeros((300, 240), np.float32)
    coarse[60:160, 90:150] = 1.0
    coarse[80:140, 0:60] = 0.5  # a flag beside it
    coarse[160:, 100:140] = 0.5  # legs in shadow
    kept = refine._supported(coarse, 3.6)
    assert kept[90:130, 10:50].max() < 0.05
    assert kept[170:290, 105:135].min() > 0.4
    assert kept[70:150, 100:140].min() > 0.95


def test_a_doubt_inside_the_subject_is_no_hole() -> None:
    ws = photo()
    alpha = outline(240, 300)
    alpha[100:112, 110:122] = 0.4
    ws.alpha = alpha
    refine.STEP.run(ws, refine.Params(), tools())
    assert ws.need_alpha()[100:112, 110:122].min() > 0.95


def test_face_lies_over_the_drawn_face() -> None:
    ws = cut()
    found = ws.need_face()
    assert abs(found.x / 240 - FACE[0]) < 0.06
    assert abs(found.y / 300 - FACE[1]) < 0.08
    mask = face.ellipse(found, 300, 240)
    y, x = np.mgrid[0:300, 0:240]
    drawn = ((x / 240 - FACE[0]) / FACE[2]) ** 2 + ((y / 300 - FACE[1]) / FACE[3]) ** 2 < 0.8
    assert mask[drawn].mean() > 0.85


@pytest.mark.parametrize("skin", ["#f4d3bd", "#c08a64", "#5a3a28"])
def test_face_is_found_for_light_and_dark_skin(skin: str) -> None:
    ws = workspace(job(saved(child(skin=skin), "png"), kind="png"))
    decode.STEP.run(ws, decode.Params(), tools())
    cut_out.STEP.run(ws, cut_out.Params(), tools())
    face.STEP.run(ws, face.Params(), tools())
    assert abs(ws.need_face().y / 300 - FACE[1]) < 0.1
