"""What every engine that makes pictures must do, whatever is behind it.

An engine's test module subclasses ``EngineContract`` as ``Test…`` and gives it a class-scoped fixture ``engine``: one
that is started, makes ``SIDE`` px pictures, and is closed after it.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
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
    def engine(self) -> Iterator[Engine]:
        raise NotImplementedError

    def test_it_says_who_it_is(self, engine: Engine) -> None:
        assert (engine.name, engine.processors) == (self.name, self.processors)
        assert engine.ready()

    def test_the_same_photo_scene_and_seed_make_the_same_picture(self, engine: Engine) -> None:
        for scene_id in (self.scene, self.another):
            a_job = self.job(scene_id, seed=4)
            told: list[float] = []
            picture = engine.render(a_job, lambda step, at, told=told: told.append(at), lambda: False)  # type: ignore[misc]
            assert told == sorted(told)
            assert told[-1] == 1.0
            shown = pixels(picture.data)
            assert picture.media_type == "image/jpeg"
            assert shown.shape == (picture.height, picture.width, 3)
            assert max(picture.width, picture.height) <= SIDE
            assert shown.std() > 8, "a picture of nothing"
            assert render(engine, a_job).data == picture.data

    def test_another_seed_makes_another(self, engine: Engine) -> None:
        first, second = (render(engine, self.job(self.scene, seed=seed)).data for seed in (0, 1))
        assert first != second

    def test_a_picture_is_made_of_pixels_alone(self, engine: Engine) -> None:
        photo = child()
        data = saved(photo, comment=b"a secret of the family", exif=b"Exif\0\0" + bytes(64))
        picture = render(engine, job(data, self.scene))
        assert set(markers(picture.data)) <= self.parts
        assert b"secret" not in picture.data

    def test_the_words_and_their_language_are_in_the_picture(self, engine: Engine) -> None:
        english, french = (render(engine, self.job(self.scene, locale=locale)) for locale in ("en", "fr"))
        assert np.abs(pixels(english.data).astype(int) - pixels(french.data)).max() > 32

    def test_what_is_wrong_with_the_order_or_the_photo_is_said(self, engine: Engine) -> None:
        with pytest.raises(errors.Invalid, match="UNKNOWN_SCENE"):
            render(engine, self.job("nowhere"))
        with pytest.raises(errors.Invalid, match="UNKNOWN_CAPTION"):
            render(engine, self.job(self.scene, caption_id="nothing"))
        with pytest.raises(errors.Invalid, match="PHOTO_TOO_SMALL"):
            render(engine, job(saved(child(60, 80)), self.scene))
        with pytest.raises(errors.Invalid, match="MALFORMED_PHOTO"):
            render(engine, job(saved(child())[:200], self.scene))

    def test_it_ends_at_the_step_at_which_it_is_cancelled(self, engine: Engine) -> None:
        steps = steps_of(engine, self.job(self.scene))
        for last in (steps[0], steps[len(steps) // 2], steps[-1]):
            told: list[str] = []
            with pytest.raises(errors.Cancelled, match="RENDER_CANCELLED"):
                engine.render(
                    self.job(self.scene),
                    lambda step, at, told=told: told.append(step),  # type: ignore[misc]
                    lambda told=told, last=last: last in told,  # type: ignore[misc]
                )
            assert told[-1] == last

    def test_nothing_is_told_to_whoever_cancels_first(self, engine: Engine) -> None:
        told: list[str] = []
        with pytest.raises(errors.Cancelled):
            engine.render(self.job(self.scene), lambda step, at: told.append(step), lambda: True)
        assert told == []

    def test_the_end_of_the_lease_ends_it(self, engine: Engine) -> None:
        with pytest.raises(errors.Overdue, match="LEASE_EXPIRED"):
            render(engine, self.job(self.scene, deadline=time.monotonic()))

    def test_so_does_one_that_comes_in_the_midst(self, engine: Engine) -> None:
        steps = steps_of(engine, self.job(self.scene))
        deadline = time.monotonic() + 0.2
        told: list[str] = []

        def progress(step: str, at: float) -> None:
            told.append(step)
            while step == steps[len(steps) // 2] and time.monotonic() < deadline:
                pass

        with pytest.raises(errors.Overdue):
            engine.render(self.job(self.scene, deadline=deadline), progress, lambda: False)
        assert steps[-1] not in told

    def test_two_at_once_are_the_two_alone(self, engine: Engine) -> None:
        jobs = [job(saved(child(skin=skin)), self.scene) for skin in ("#f4d3bd", "#5a3a28")]
        alone = [render(engine, a_job).data for a_job in jobs]
        with ThreadPoolExecutor(2) as pool:
            assert list(pool.map(lambda a_job: render(engine, a_job).data, jobs)) == alone

    def test_nothing_of_a_photo_is_kept_however_it_ends(self, engine: Engine) -> None:
        render(engine, self.job(self.scene))
        steps = steps_of(engine, self.job(self.scene))
        told: list[str] = []
        with pytest.raises(errors.Cancelled):
            engine.render(self.job(self.scene), lambda step, at: told.append(step), lambda: steps[-2] in told)
        with pytest.raises(errors.Overdue):
            render(engine, self.job(self.scene, deadline=time.monotonic()))
        gc.collect()
        assert not [thing for thing in gc.get_objects() if isinstance(thing, Workspace)]

    def job(self, scene_id: str, **more: object) -> Job:
        return job(saved(child()), scene_id, **more)


def render(engine: Engine, a_job: Job) -> Picture:
    return engine.render(a_job, lambda step, at: None, lambda: False)


def steps_of(engine: Engine, a_job: Job) -> list[str]:
    """In the order in which it tells them, each once."""
    told: dict[str, None] = {}
    engine.render(a_job, lambda step, at: told.setdefault(step), lambda: False)
    return list(told)
