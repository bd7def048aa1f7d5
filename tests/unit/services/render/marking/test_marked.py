"""Where marks are put: every engine that makes pictures, none that doesn't; what each kind of scene says of itself."""

from __future__ import annotations

import pytest

from clients.inspecting.inspect import inspect
from services.render.catalogue import Catalogue
from services.render.marking import source_type
from services.render.marking.credentials import Credentials
from services.render.marking.marked import Marked
from services.render.marking.source_type import SourceType
from services.render.picture import Cancelled, Job, Picture, Progress
from services.render.scene import ENGINES
from tests.unit.services.render.marking.marks import credentials, jpeg, opened, pixels

CATALOGUE = Catalogue.load()
_GENERATING = {"backdrop", "oils", "unify", "watercolour"}
"""Steps that ask a network which draws."""
_SAY_MORE = {"linocut", "pastel", "pencil"}
"""Portraits that are drawn without one, and say what all portraits say: more than they must misleads nobody."""


class PlainEngine:
    name = "onnx"
    processors = ("onnx-embedded",)

    def start(self) -> None: ...

    def ready(self) -> bool:
        return True

    def render(self, job: Job, progress: Progress, cancelled: Cancelled) -> Picture:
        return Picture(jpeg(pixels()), "image/jpeg", 512, 640)

    def close(self) -> None: ...


def _render(scene_id: str, signer: Credentials | None = None) -> tuple[Picture, list[str]]:
    told: list[str] = []
    engine = Marked(PlainEngine(), catalogue=CATALOGUE, credentials=signer or credentials(), marked=told.append)
    assert (engine.name, engine.processors, engine.ready()) == ("onnx", ("onnx-embedded",), True)
    return engine.render(Job([], "jpeg", 1, 1, 1, scene_id), lambda step, at: None, lambda: False), told


@pytest.mark.parametrize("scene_id", ["moonlit_hills", "watercolour", "bright_day"])
def test_a_picture_is_signed_and_keeps_its_pixels(scene_id: str) -> None:
    picture, told = _render(scene_id)
    kind = CATALOGUE.get(scene_id).kind
    report = inspect(picture.data)
    assert report.credentials is not None
    assert report.credentials.source_types == (source_type.of(kind, "onnx"),) == (report.metadata.source_type,)
    assert told == [kind]
    assert (opened(picture.data) == opened(jpeg(pixels()))).all()


def test_an_unsigned_picture_does_not_leave() -> None:
    class Broken(Credentials):
        def __init__(self) -> None: ...

        def sign(self, jpeg: bytes, made: SourceType) -> bytes:
            raise RuntimeError

    with pytest.raises(RuntimeError):
        _render("bright_day", Broken())


def test_only_what_generates_nothing_says_so() -> None:
    """A scene that enhances and asks a network to draw would have to say something else."""
    for scene in CATALOGUE.scenes():
        asks = bool({step.name for step in scene.recipe} & _GENERATING)
        says = source_type.of(scene.kind, "onnx") is SourceType.EDITED_BY_AI
        assert says == (asks or scene.id in _SAY_MORE), scene.id
    for kind in ("milestone", "portrait"):
        assert {source_type.of(kind, name) for name in ENGINES} == {SourceType.EDITED_BY_AI}
    assert source_type.of("enhance", "diffusers") is SourceType.EDITED_BY_AI
