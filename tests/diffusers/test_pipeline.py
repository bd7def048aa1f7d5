"""One picture at a time from a model: what it listens to, when it ends, and what it keeps: nothing."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mesh.errors import Cancelled, ConfigError, Invalid
from services.render.engines.diffusers import diffuse, libraries, manifest
from services.render.engines.diffusers.engine import DiffusersEngine
from services.render.engines.diffusers.pipeline import IDENTITY, MODEL, Asked, Pipeline, Weights
from services.render.scene import Diffusion
from services.render.steps.pixels import Array, from_bytes
from services.render.steps.workspace import Face
from tests.diffusers import needs_the_extra, tiny
from tests.scene_subjects import child, job, outline, saved, workspace

pytestmark = needs_the_extra

WHOLE = Diffusion("oil painting in umber and honey", "text", mode="whole", strength=0.6, steps=5)
AROUND = replace(WHOLE, mode="around", strength=0.95)
START = from_bytes(np.asarray(child(96, 112)))
FREE = 1 - outline(96, 112).round()
"""Around the child."""


def asked(scene: Diffusion = WHOLE, **more: Any) -> Asked:
    free = FREE if scene.mode == "around" else None
    return replace(Asked(scene, START, free, START[20:60, 30:70], seed=1), **more)


def nothing(share: float) -> None:
    """Goes on."""


def distance(one: Array, other: Array) -> float:
    return float(np.abs(one - other).max())


@pytest.mark.parametrize("scene", [WHOLE, AROUND], ids=["whole", "around"])
def test_a_picture_is_of_the_start_s_size_and_the_seed_s_alone(pipeline: Pipeline, scene: Diffusion) -> None:
    first = pipeline.paint(asked(scene), nothing)
    assert first.shape == START.shape
    assert 0 <= first.min() < first.max() <= 1
    assert distance(first, pipeline.paint(asked(scene), nothing)) == 0
    assert distance(first, pipeline.paint(asked(scene, seed=2), nothing)) > 0.01


@pytest.mark.parametrize(
    "other",
    [
        replace(WHOLE, prompt="wet washes on white paper"),
        replace(WHOLE, negative="hands"),
        replace(WHOLE, strength=0.9),
        replace(WHOLE, guidance=2.0),
        replace(WHOLE, steps=9),
        replace(WHOLE, identity=0.1),
    ],
    ids=["prompt", "negative", "strength", "guidance", "steps", "identity"],
)
def test_it_listens_to_the_scene(pipeline: Pipeline, other: Diffusion) -> None:
    assert distance(pipeline.paint(asked(), nothing), pipeline.paint(asked(other), nothing)) > 1e-4


def test_it_looks_at_the_photo_and_at_who_is_in_it(pipeline: Pipeline) -> None:
    picture = pipeline.paint(asked(), nothing)
    assert distance(picture, pipeline.paint(asked(start=1 - START), nothing)) > 0.01
    assert distance(picture, pipeline.paint(asked(portrait=1 - START), nothing)) > 1e-4


def test_a_world_is_not_made_in_the_image_of_the_child(pipeline: Pipeline) -> None:
    one, other = (pipeline.paint(asked(AROUND, portrait=face), nothing) for face in (START, 1 - START))
    assert distance(one, other) == 0


def test_the_child_is_the_photo_s_and_the_world_is_the_model_s(pipeline: Pipeline) -> None:
    ws = workspace(job(saved(child())))
    alpha = outline(96, 112)
    ws.picture, ws.layer, ws.layer_alpha = np.full_like(START, 0.5), START, alpha
    ws.face = Face(48, 40, 16, 21)
    diffuse.run(ws, AROUND, pipeline, nothing)
    picture = ws.need_picture()
    assert distance(picture[alpha == 1], START[alpha == 1]) < 1e-6
    assert float(np.abs(picture - START)[alpha == 0].mean()) > 0.05


def test_of_a_photo_that_is_painted_throughout_the_face_stays(pipeline: Pipeline) -> None:
    ws = workspace(job(saved(child())), side=112)
    ws.photo, ws.alpha, ws.face = START, outline(96, 112), Face(48, 40, 16, 21)
    diffuse.run(ws, WHOLE, pipeline, nothing)
    changed = np.abs(ws.need_picture() - START).mean(axis=-1)
    assert changed[30:50, 40:56].mean() < 0.15
    assert changed[30:50, 40:56].mean() < 0.5 * changed[:, :10].mean()


# --- ending ---


def stop_at(share: float, told: list[float]) -> Callable[[float], None]:
    def go_on(done: float) -> None:
        told.append(done)
        if done >= share:
            raise Cancelled("RENDER_CANCELLED", "Taken back.")

    return go_on


@pytest.mark.parametrize("scene", [WHOLE, AROUND], ids=["whole", "around"])
def test_it_ends_at_the_step_at_which_it_is_to(pipeline: Pipeline, scene: Diffusion) -> None:
    """int(steps x strength) of them: 3 of 5 with strength 0.6, 4 with 0.95."""
    told: list[float] = []
    pipeline.paint(asked(scene), told.append)
    steps = int(scene.steps * scene.strength)
    assert told == [(at + 1) / steps for at in range(steps)]
    before, ended = pipeline.paint(asked(scene), nothing), list[float]()
    with pytest.raises(Cancelled):
        pipeline.paint(asked(scene), stop_at(told[1], ended))
    assert ended == told[:2]
    assert distance(before, pipeline.paint(asked(scene), nothing)) == 0, "what was broken off left something behind"


def test_whoever_waits_for_the_model_may_leave(pipeline: Pipeline) -> None:
    working, finish = threading.Event(), threading.Event()

    def slowly(share: float) -> None:
        working.set()
        assert finish.wait(30)

    with ThreadPoolExecutor(1) as pool:
        picture = pool.submit(pipeline.paint, asked(), slowly)
        assert working.wait(30)
        told: list[float] = []
        with pytest.raises(Cancelled):
            pipeline.paint(asked(), stop_at(0.0, told))
        assert told == [0.0]
        assert not picture.done()
        finish.set()
        assert picture.result().shape == START.shape


# --- nothing is kept ---


def tensors() -> set[int]:
    torch = libraries.load(1).torch
    gc.collect()
    return {id(thing) for thing in gc.get_objects() if issubclass(type(thing), torch.Tensor)}


@pytest.mark.parametrize(
    ("scene", "scheduler"),
    [(AROUND, "DDIMScheduler"), (AROUND, "PNDMScheduler"), (WHOLE, "DPMSolverMultistepScheduler")],
    ids=lambda value: value if isinstance(value, str) else value.mode,
)
def test_no_tensor_outlives_its_picture(pipeline: Pipeline, scene: Diffusion, scheduler: str) -> None:
    """Schedulers of several steps keep the model's last answers, which are the picture but for a subtraction."""
    kind = getattr(libraries.load(1).diffusers, scheduler)
    running = pipeline._whole if scene.mode == "whole" else pipeline._around
    kept = running.scheduler
    running.scheduler = kind.from_config(kept.config)
    try:
        pipeline.paint(asked(scene), nothing)
        before = tensors()
        pipeline.paint(asked(scene), nothing)
        with pytest.raises(Cancelled):
            pipeline.paint(asked(scene), stop_at(0.5, []))
        assert not tensors() - before
    finally:
        running.scheduler = kept


def test_what_broke_off_lets_go_even_while_its_error_is_held(pipeline: Pipeline) -> None:
    before = tensors()
    with pytest.raises(Cancelled) as error:
        pipeline.paint(asked(), stop_at(0.5, []))
    assert not tensors() - before
    assert error.value.reason == "RENDER_CANCELLED"


# --- what it refuses ---


def test_a_picture_that_the_checker_flags_is_an_error_that_says_so(tmp_path: Path) -> None:
    strict = Pipeline(tiny.build(tmp_path, threshold=tiny.FLAGGED, identity=False))
    with pytest.raises(Invalid, match="PICTURE_REFUSED"):
        strict.paint(asked(), nothing)
    assert strict.paint  # it goes on
    strict.checker = None
    assert strict.paint(asked(), nothing).std() > 0.01, "not the pipeline's black one"


def test_one_without_a_checker_is_loaded_only_where_none_is_required(tmp_path: Path) -> None:
    weights = tiny.build(tmp_path, threshold=None, identity=False)
    with pytest.raises(ConfigError, match="MAYFLY_RENDER_SAFETY_CHECKER"):
        Pipeline(replace(weights, checker_required=True))
    lenient = Pipeline(weights)
    assert lenient.checker is None
    assert lenient.paint(asked(), nothing).shape == START.shape, "nor does it take an adapter"


def test_what_a_model_makes_of_no_numbers_is_not_shown_as_black(pipeline: Pipeline) -> None:
    bias = pipeline._whole.vae.decoder.conv_out.bias.data
    kept = bias.clone()
    try:
        bias.fill_(float("nan"))
        with pytest.raises(ArithmeticError):
            pipeline.paint(asked(), nothing)
    finally:
        bias.copy_(kept)


# --- loading ---


def test_a_model_for_inpainting_alone_makes_both_kinds(tmp_path: Path) -> None:
    made = Pipeline(tiny.build(tmp_path, inpainting_only=True, identity=False))
    for scene in (WHOLE, AROUND):
        told: list[float] = []
        assert made.paint(asked(scene), told.append).shape == START.shape
        assert told[-1] == 1.0


def test_sizes_are_the_model_s_in_the_picture_s_shape(pipeline: Pipeline) -> None:
    assert pipeline.native == tiny.NATIVE
    assert pipeline._fit(1024, 1024) == (64, 64)
    assert pipeline._fit(1024, 1280) == (64, 64)
    assert pipeline._fit(300, 1200) == (32, 128)


def test_it_works_in_the_precision_that_it_is_told(weights: Weights) -> None:
    """Twice the usual one here: a CPU is slow in half of it."""
    exact = Pipeline(replace(weights, dtype="float64"))
    assert exact._whole.unet.dtype == exact._around.image_encoder.dtype == libraries.load(1).torch.float64
    assert exact.paint(asked(), nothing).dtype == np.float32


def test_the_wrong_folder_stops_the_start(weights: Weights, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="pins"):
        Pipeline(replace(weights, manifest="0" * 64))
    with pytest.raises(ConfigError, match="no such device"):
        Pipeline(replace(weights, device="cuda:7"))
    (tmp_path / MODEL).mkdir()
    (tmp_path / MODEL / "model_index.json").write_text('{"_class_name": "StableDiffusionPipeline"}')
    with pytest.raises(ConfigError, match="does not load"):
        Pipeline(replace(weights, folder=tmp_path, manifest=manifest.write(tmp_path)))


def test_a_broken_weight_stops_the_start(tmp_path: Path) -> None:
    weights = tiny.build(tmp_path)
    (tmp_path / IDENTITY / "ip_adapter.safetensors").write_bytes(b"\x08\0\0\0\0\0\0\0{}      ")
    with pytest.raises(ConfigError, match="does not load"):
        Pipeline(replace(weights, manifest=manifest.write(tmp_path)))


# --- the engine ---


def test_the_model_s_steps_are_told_as_progress(engine: DiffusersEngine) -> None:
    told: list[tuple[str, float]] = []
    engine.render(job(saved(child()), "watercolour"), lambda step, at: told.append((step, at)), lambda: False)
    shares = [at for step, at in told if step == "diffuse"]
    assert len(shares) > 10
    assert shares == sorted(shares)
    assert shares[-1] - shares[0] > 0.5, "most of a picture's time is the model's"


def test_scenes_that_ask_for_no_model_are_not_its(engine: DiffusersEngine) -> None:
    with pytest.raises(Invalid, match="UNKNOWN_SCENE"):
        engine.render(job(saved(child()), "bright_day"), lambda step, at: None, lambda: False)
