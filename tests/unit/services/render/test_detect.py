"""Heads are found by the real detector, however they lie, and each of several."""

from __future__ import annotations

from pathlib import Path

import matplotlib
import numpy as np
import pytest
from PIL import Image

from services.render import models
from services.render.engines.onnx import OnnxNetworks
from services.render.steps import detect, face
from services.render.steps.pixels import Array, from_bytes
from services.render.steps.workspace import Face
from tests.scene_subjects import FlatNetworks, child, job, saved, tools, workspace

PORTRAIT = Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"
FACE = (0.514, 0.36, 0.17, 0.20)  # by hand: centre and half axes, in shares


@pytest.fixture(scope="module")
def networks() -> OnnxNetworks:
    folder = models.default_dir()
    return OnnxNetworks(models.verify(folder), models.style_network(), 1, faces=models.face_network(folder))


def _photo() -> Image.Image:
    with Image.open(PORTRAIT) as image:
        return image.convert("RGB")


def _array(image: Image.Image) -> Array:
    return from_bytes(np.asarray(image))


def _heads(image: Image.Image, networks: OnnxNetworks) -> tuple[Face, ...]:
    return detect.heads(_array(image), (0, 0, image.width, image.height), networks)


def _is_at(head: Face, x: float, y: float, rx: float, ry: float) -> None:
    """The face lies within the head, which isn't half as large again."""
    assert abs(head.x - x) < 0.25 * rx
    assert abs(head.y - y) < 0.25 * ry
    assert rx <= head.rx < 1.5 * rx
    assert ry <= head.ry < 1.5 * ry


@pytest.mark.parametrize("turns", range(4))
def test_a_face_is_found_however_it_lies(networks: OnnxNetworks, turns: int) -> None:
    photo = _photo().rotate(90 * turns, expand=True)
    [head] = _heads(photo, networks)
    x, y, rx, ry = FACE
    for _ in range(turns):  # against the clock
        x, y, rx, ry = y, 1 - x, ry, rx
    _is_at(head, x * photo.width, y * photo.height, rx * photo.width, ry * photo.height)


@pytest.mark.parametrize("change", ["dark", "monochrome", "tiny"])
def test_a_face_is_found_in_a_poor_photo(networks: OnnxNetworks, change: str) -> None:
    photo = _photo()
    poor = {"dark": photo.point(lambda v: v // 5), "monochrome": photo.convert("L").convert("RGB"),
            "tiny": photo.resize((64, 75))}[change]  # fmt: skip
    assert len(_heads(poor, networks)) == 1


def test_each_of_several_is_found_the_largest_first(networks: OnnxNetworks) -> None:
    photo = _photo()
    both = Image.new("RGB", (photo.width * 2, photo.height))
    both.paste(photo.resize((photo.width * 3 // 4, photo.height * 3 // 4)), (0, photo.height // 4))
    both.paste(photo, (photo.width, 0))
    first, second = _heads(both, networks)
    assert first.rx > second.rx
    assert first.x > photo.width > second.x


def test_nothing_is_found_where_there_is_nobody(networks: OnnxNetworks) -> None:
    noise = np.random.default_rng(1).random((200, 300, 3)).astype(np.float32)
    assert detect.heads(noise, (0, 0, 300, 200), networks) == ()


class Seeing(FlatNetworks):
    """Sees what it is told, in the upright quarter."""

    def __init__(self, *boxes: tuple[float, float, float, float]) -> None:
        super().__init__()
        self._boxes = boxes

    def faces(self, rgb: Array) -> Array:
        return np.array([[*box, 0.9 - 0.1 * at] for at, box in enumerate(self._boxes)], np.float32).reshape(-1, 5)


def _found(*boxes: tuple[float, float, float, float]) -> Face:
    ws = workspace(job(saved(child())))
    ws.photo = _array(child())
    ws.alpha = np.zeros((300, 240), np.float32)
    ws.alpha[:, 40:200] = 1
    face.STEP.bind("face", {})
    face.run(ws, face.Params(), tools(Seeing(*boxes)))
    return ws.need_face()


def test_one_face_is_not_two_and_what_is_no_part_of_the_subject_is_none() -> None:
    alone = _found((100, 100, 160, 160), (104, 98, 166, 162))
    assert alone.others == ()
    two = _found((60, 60, 100, 100), (140, 140, 220, 220), (302, 40, 318, 56))
    assert len(two.others) == 1
    assert two.rx > two.others[0].rx


def test_without_any_the_head_is_estimated() -> None:
    estimated = _found()
    assert estimated.others == ()
    assert 0.3 * 240 < estimated.x < 0.7 * 240
    assert 0.15 * 300 < estimated.y < 0.5 * 300


def test_every_head_is_protected_wherever_it_is_moved() -> None:
    pair = Face(20, 30, 5, 6, (Face(60, 30, 4, 5),)).moved(2, right=10, down=-20)
    assert pair == Face(50, 40, 10, 12, (Face(130, 40, 8, 10),))
    mask = face.ellipse(pair, 80, 160)
    assert mask[40, 50] == mask[40, 130] == 1
    assert mask[40, 90] == 0
