"""Which engine makes which scene, and who takes over for whom."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from mesh.errors import ConfigError, Invalid, MeshError, Overdue, Unavailable
from services.render.catalogue import Catalogue
from services.render.engines.choice import Choice
from services.render.picture import Cancelled, Job, Picture, Progress
from services.render.scene import Diffusion

ALL = Catalogue.load()
SAME = replace(
    next(scene for scene in ALL.scenes() if scene.equivalent == {"onnx", "triton"}), id="same", diffusion=None
)
ALONE = replace(SAME, id="alone", equivalent=frozenset())
GENERATED = replace(SAME, id="generated", diffusion=Diffusion("a soft gouache world", "text"))
EMBEDDED_ONLY = replace(SAME, id="embedded_only", diffusion=None)
CATALOGUE = Catalogue((SAME, ALONE, GENERATED, EMBEDDED_ONLY))


class Recorded:
    """An engine that says which one it is; or fails as it is told to."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.processors = (f"{name}-here", "shared")
        self.fails: Callable[[], Exception] | None = None
        self.up = True
        self.asked: list[str] = []
        self.closed = False

    def start(self) -> None:
        """Nothing to load."""

    def ready(self) -> bool:
        return self.up

    def render(self, job: Job, progress: Progress, cancelled: Cancelled) -> Picture:
        self.asked.append(job.scene_id)
        if self.fails is not None:
            raise self.fails()
        return Picture(self.name.encode(), "image/jpeg", 1, 1)

    def close(self) -> None:
        self.closed = True


class Deployment:
    def __init__(self, *names: str, **preferred: str) -> None:
        self.engines = {name: Recorded(name) for name in names}
        self.fallbacks: list[tuple[str, str]] = []
        self.choice = Choice(
            list(self.engines.values()),
            catalogue=CATALOGUE,
            preferred=preferred,
            fell_back=lambda failed, instead: self.fallbacks.append((failed, instead)),
        )

    def makes(self, scene_id: str) -> str:
        job = Job([], "jpeg", 1, 1, 1, scene_id)
        return self.choice.render(job, lambda step, at: None, lambda: False).data.decode()


def test_the_deployment_s_first_engine_that_can_makes_the_scene() -> None:
    here = Deployment("diffusers", "triton", "onnx")
    assert here.makes("generated") == "diffusers"
    assert here.makes("embedded_only") == "triton"
    assert here.fallbacks == []


def test_a_deployment_may_prefer_another_engine_for_one_scene() -> None:
    here = Deployment("onnx", "diffusers", generated="diffusers")
    assert (here.makes("generated"), here.makes(SAME.id)) == ("diffusers", "onnx")


@pytest.mark.parametrize(
    ("preferred", "named"), [({"nowhere": "onnx"}, "nowhere"), ({"embedded_only": "diffusers"}, "embedded_only")]
)
def test_a_preference_that_cant_be_had_stops_the_start(preferred: dict[str, str], named: str) -> None:
    with pytest.raises(ConfigError, match=rf"^MAYFLY_RENDER_SCENE_ENGINES: {named}: "):
        Deployment("onnx", "diffusers", **preferred)


@pytest.mark.parametrize("failure", [lambda: Unavailable("POOL_AWAY", "Away."), lambda: RuntimeError("a bug")])
def test_an_equivalent_engine_takes_over(failure: Callable[[], Exception]) -> None:
    here = Deployment("triton", "onnx")
    here.engines["triton"].fails = failure
    assert here.makes(SAME.id) == "onnx"
    assert here.fallbacks == [("triton", "onnx")]


def test_an_engine_that_is_not_ready_is_not_asked() -> None:
    here = Deployment("triton", "onnx")
    here.engines["triton"].up = False
    assert here.makes(SAME.id) == "onnx"
    assert here.engines["triton"].asked == []
    assert here.fallbacks == [("triton", "onnx")]
    here.engines["onnx"].up = False
    assert not here.choice.ready()


def test_no_engine_takes_over_where_the_scene_doesnt_say_that_it_is_equivalent() -> None:
    here = Deployment("triton", "onnx", "diffusers")
    here.engines["triton"].fails = lambda: Unavailable("POOL_AWAY", "Away.")
    with pytest.raises(Unavailable, match="POOL_AWAY"):
        here.makes("alone")
    assert here.makes("generated") == "onnx", "diffusers is not in its list"
    assert (here.engines["diffusers"].asked, here.fallbacks) == ([], [("triton", "onnx")])


@pytest.mark.parametrize("error", [Invalid("PHOTO_TOO_SMALL", "Small."), Overdue("LEASE_OVER", "Over.")])
def test_what_is_wrong_with_the_photo_is_wrong_for_every_engine(error: MeshError) -> None:
    here = Deployment("triton", "onnx")
    here.engines["triton"].fails = lambda: error
    with pytest.raises(type(error)):
        here.makes(SAME.id)
    assert here.engines["onnx"].asked == []


def test_only_what_can_be_made_here_is_in_the_catalogue() -> None:
    here = Deployment("diffusers")
    assert [scene.id for scene in CATALOGUE.only(here.choice.can_make).scenes()] == ["generated"]
    with pytest.raises(ConfigError, match="MAYFLY_RENDER_ENGINE"):
        Catalogue((EMBEDDED_ONLY,)).only(Deployment("diffusers").choice.can_make)


def test_receipts_name_each_processor_once() -> None:
    here = Deployment("triton", "onnx")
    assert here.choice.processors == ("triton-here", "shared", "onnx-here")
    here.choice.close()
    assert all(engine.closed for engine in here.engines.values())
