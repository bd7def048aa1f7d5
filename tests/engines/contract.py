"""What every engine that makes pictures must do, whatever is behind it.

An engine's test module subclasses ``EngineContract`` as ``Test…`` and gives it a class-scoped fixture ``engine``: one
that is started, makes ``SIDE`` px pictures, and is closed after it.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

from mesh import errors
from services.render.engines.base import Engine
from services.render.picture import Job, Picture
from services.render.steps.workspace import Workspace
from tests.scene_subjects import child, job, markers, pixels, saved

SIDE = 320  # px: a quarter of the real size, a fraction of the work
JPEG_PARTS = {0xE0, 0xDB, 0xC0, 0xC4, 0xDA, 0xD9}
"""APP0 (JFIF), tables, frame, scan, end: what a JPEG of pixels alone consists of (ISO/IEC 10918-1, B.1.1.3)."""


class EngineContract:
    """name, processors: what the engine must say of itself. scene: one with words that it makes; another: one more.

    parts: JPEG markers that its pictures may hold.
    """

    name: ClassVar[str]
    processors: ClassVar[tuple[str, ...]]
    scene: ClassVar[str] = "moonlit_hills"
    another: ClassVar[str] = "watercolour"
    parts: ClassVar[set[int]] = JPEG_PARTS

    @pytest.fixture(scope="class")
    @classmethod
    def engine(cls) -> Iterator[Engine]:
        raise NotImplementedError

    @pytest.fixture(scope="class")
    @classmethod
    def first(cls, engine: Engine) -> Made:
        """A picture that several tests compare theirs with: renders are what these tests cost."""
        return made(engine, cls.job(cls.scene))

    def test_it_says_who_it_is(self, engine: Engine) -> None:
        assert (engine.name, engine.processors) == (self.name, self.processors)
        assert engine.ready()

    def test_the_same_photo_scene_and_seed_make_the_same_picture(self, engine: Engine, first: Made) -> None:
        assert render(engine, self.job(self.scene)).data == first.picture.data
        other = made(engine, self.job(self.another, seed=4))
        assert render(engine, self.job(self.another, seed=4)).data == other.picture.data
        for each in (first, other):
            assert each.fractions == sorted(each.fractions)
            assert each.fractions[-1] == 1.0
            picture = each.picture
            shown = pixels(picture.data)
            assert picture.media_type == "image/jpeg"
            assert shown.shape == (picture.height, picture.width, 3)
            assert max(picture.width, picture.height) <= SIDE
            assert shown.std() > 8, "a picture of nothing"

    def test_another_seed_makes_another(self, engine: Engine, first: Made) -> None:
        assert render(engine, self.job(self.scene, seed=1)).data != first.picture.data

    def test_a_picture_is_made_of_pixels_alone(self, engine: Engine) -> None:
        photo = child()
        data = saved(photo, comment=b"a secret of the family", exif=b"Exif\0\0" + bytes(64))
        picture = render(engine, job(data, self.scene))
        assert set(markers(picture.data)) <= self.parts
        assert b"secret" not in picture.data

    def test_the_words_and_their_language_are_in_the_picture(self, engine: Engine, first: Made) -> None:
        french = render(engine, self.job(self.scene, locale="fr"))
        assert np.abs(pixels(french.data).astype(int) - pixels(first.picture.data)).max() > 32

    def test_what_is_wrong_with_the_order_or_the_photo_is_said(self, engine: Engine) -> None:
        with pytest.raises(errors.Invalid, match="UNKNOWN_SCENE"):
            render(engine, self.job("nowhere"))
        with pytest.raises(errors.Invalid, match="UNKNOWN_CAPTION"):
            render(engine, self.job(self.scene, caption_id="nothing"))
        with pytest.raises(errors.Invalid, match="PHOTO_TOO_SMALL"):
            render(engine, job(saved(child(60, 80)), self.scene))
        with pytest.raises(errors.Invalid, match="MALFORMED_PHOTO"):
            render(engine, job(saved(child())[:200], self.scene))

    def test_it_ends_at_the_step_at_which_it_is_cancelled(self, engine: Engine, first: Made) -> None:
        for last in (first.steps[0], first.steps[len(first.steps) // 2], first.steps[-1]):
            with pytest.raises(errors.Cancelled, match="RENDER_CANCELLED"):
                cancelled_at(last, engine, self.job(self.scene))

    def test_nothing_is_told_to_whoever_cancels_first(self, engine: Engine) -> None:
        told: list[str] = []
        with pytest.raises(errors.Cancelled):
            engine.render(self.job(self.scene), lambda step, at: told.append(step), lambda: True)
        assert told == []

    def test_the_end_of_the_lease_ends_it(self, engine: Engine) -> None:
        with pytest.raises(errors.Overdue, match="LEASE_EXPIRED"):
            render(engine, self.job(self.scene, deadline=time.monotonic()))

    def test_so_does_one_that_comes_in_the_midst(self, engine: Engine, first: Made) -> None:
        deadline = time.monotonic() + 0.2
        told: list[str] = []

        def progress(step: str, at: float) -> None:
            told.append(step)
            while step == first.steps[len(first.steps) // 2] and time.monotonic() < deadline:
                pass

        with pytest.raises(errors.Overdue):
            engine.render(self.job(self.scene, deadline=deadline), progress, lambda: False)
        assert first.steps[-1] not in told

    def test_two_at_once_are_the_two_alone(self, engine: Engine, first: Made) -> None:
        other = job(saved(child(skin="#5a3a28")), self.scene)
        with ThreadPoolExecutor(2) as pool:
            together = pool.map(lambda a_job: render(engine, a_job).data, [self.job(self.scene), other])
            assert list(together) == [first.picture.data, render(engine, other).data]

    def test_nothing_of_a_photo_is_kept_however_it_ends(self, engine: Engine, first: Made) -> None:
        with pytest.raises(errors.Cancelled):
            cancelled_at(first.steps[-2], engine, self.job(self.scene))
        with pytest.raises(errors.Overdue):
            render(engine, self.job(self.scene, deadline=time.monotonic()))
        gc.collect()
        assert not [thing for thing in gc.get_objects() if isinstance(thing, Workspace)]

    @classmethod
    def job(cls, scene_id: str, **more: object) -> Job:
        return job(saved(child()), scene_id, **more)


@dataclass(frozen=True, slots=True)
class Made:
    """A picture, and what was told on the way: steps in their order, each once, and all fractions."""

    picture: Picture
    steps: tuple[str, ...]
    fractions: list[float]


def made(engine: Engine, a_job: Job) -> Made:
    told: list[tuple[str, float]] = []
    picture = engine.render(a_job, lambda step, at: told.append((step, at)), lambda: False)
    return Made(picture, tuple(dict.fromkeys(step for step, _ in told)), [at for _, at in told])


def render(engine: Engine, a_job: Job) -> Picture:
    return engine.render(a_job, lambda step, at: None, lambda: False)


def cancelled_at(last: str, engine: Engine, a_job: Job) -> None:
    """Taken back as soon as that step has been told; AssertionError if another one is told after it."""
    told: list[str] = []
    try:
        engine.render(a_job, lambda step, at: told.append(step), lambda: last in told)
    finally:
        assert told[-1] == last
