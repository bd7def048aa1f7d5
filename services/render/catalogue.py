"""The scenes that there are: one folder each, read and checked once, before the first photo is accepted.

``scenes/<scene_id>/scene.toml`` holds a scene, ``scenes/captions.toml`` the words. A broken file stops the start with
its name and the field.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from mesh.errors import ConfigError, Invalid
from services.render import recipe as recipes
from services.render.scene import COSTS, ENGINES, KINDS, LOCALES, Diffusion, Scene, Texts
from services.render.steps import params
from services.render.steps.params import ParamError

BUILTIN = Path(__file__).parent / "scenes"
_FIELDS = {"kind", "cost", "min_side", "title", "captions", "recipe", "intent", "engines"}
_ID = re.compile(r"[a-z][a-z0-9_]{1,39}")


class Catalogue:
    def __init__(self, scenes: tuple[Scene, ...]) -> None:
        self._scenes = {scene.id: scene for scene in scenes}

    @classmethod
    def load(cls, directory: Path = BUILTIN) -> Catalogue:
        """Raises ConfigError naming file and field."""
        captions = _captions(directory / "captions.toml")
        files = sorted(directory.glob("*/scene.toml"))
        if not files:
            raise ConfigError(f"{directory}: no scenes here (<scene_id>/scene.toml)")
        scenes = [_Reader(file, captions).scene() for file in files]
        return cls(tuple(sorted(scenes, key=lambda scene: (KINDS.index(scene.kind), scene.id))))

    def only(self, makes: Callable[[Scene], bool]) -> Catalogue:
        """What of it can be made here. Raises ConfigError when that is nothing."""
        kept = tuple(scene for scene in self.scenes() if makes(scene))
        if not kept:
            raise ConfigError("MAYFLY_RENDER_ENGINE: none of these engines makes any scene")
        return Catalogue(kept)

    def get(self, scene_id: str) -> Scene:
        """Raises Invalid("UNKNOWN_SCENE")."""
        scene = self._scenes.get(scene_id)
        if scene is None:
            raise Invalid(
                "UNKNOWN_SCENE", "There is no such scene; take one from the list of scenes.", field="scene_id"
            )
        return scene

    def scenes(self) -> tuple[Scene, ...]:
        """By kind (milestone, portrait, enhance), then by id."""
        return tuple(self._scenes.values())


class _Reader:
    """One scene file; every complaint carries its name and the field."""

    def __init__(self, file: Path, captions: Mapping[str, Texts]) -> None:
        self._file = file
        self._words = captions
        self._table = _toml(file)

    def scene(self) -> Scene:
        name = self._file.parent.name
        if not _ID.fullmatch(name):
            raise self._wrong("id", "the folder's name must be lower_snake_case, 2 to 40 characters")
        unknown = set(self._table) - _FIELDS
        if unknown:
            raise self._wrong(min(unknown), "unknown")
        kind = self._choice("kind", KINDS)
        return Scene(
            name,
            kind,
            _texts(self._file, "title", self._table.get("title")),
            self._captions(kind),
            recipes.complete(tuple(self._steps())),
            self._min_side(),
            self._choice("cost", COSTS),
            self._intent(),
            self._diffusion(),
            self._equivalent(),
        )

    def _intent(self) -> str:
        value = self._table.get("intent")
        if not isinstance(value, str) or not 20 <= len(value) <= 200 or not value.isprintable():
            raise self._wrong("intent", "must be one line of 20 to 200 characters")
        return value

    def _engines(self) -> dict[str, Any]:
        table = self._table.get("engines", {})
        if not isinstance(table, dict):
            raise self._wrong("engines", "must be a table")
        for field in sorted(set(table) - {"equivalent", "diffusers"}):
            raise self._wrong(f"engines.{field}", "unknown")
        return table

    def _equivalent(self) -> frozenset[str]:
        names = self._engines().get("equivalent", [])
        if not isinstance(names, list) or any(name not in ENGINES for name in names):
            raise self._wrong("engines.equivalent", f"must be a list of {', '.join(sorted(ENGINES))}")
        return frozenset(names)

    def _diffusion(self) -> Diffusion | None:
        table = self._engines().get("diffusers")
        if table is None:
            return None
        if not isinstance(table, dict):
            raise self._wrong("engines.diffusers", "must be a table")
        try:
            return params.bind(Diffusion, table)
        except ParamError as error:
            raise self._wrong(f"engines.diffusers.{error.where}", error.problem) from None

    def _choice(self, field: str, choices: tuple[str, ...]) -> str:
        value = self._table.get(field)
        if value not in choices:
            raise self._wrong(field, f"must be one of {', '.join(choices)}")
        return str(value)

    def _min_side(self) -> int:
        value = self._table.get("min_side")
        if isinstance(value, bool) or not isinstance(value, int) or not 32 <= value <= 4096:
            raise self._wrong("min_side", "must be a whole number, 32 to 4096 (px)")
        return value

    def _captions(self, kind: str) -> dict[str, Texts]:
        ids = self._table.get("captions", [])
        if not isinstance(ids, list) or (kind == "milestone") != bool(ids):
            raise self._wrong("captions", "must be a list of caption ids, for milestones and for them only")
        for at, caption_id in enumerate(ids):
            if caption_id not in self._words:
                raise self._wrong(f"captions[{at}]", "is not in captions.toml")
        return {caption_id: self._words[caption_id] for caption_id in ids}

    def _steps(self) -> Iterator[Any]:
        steps = self._table.get("recipe")
        if not isinstance(steps, list) or not steps:
            raise self._wrong("recipe", "must be a list of tables, [[recipe]]")
        for at, table in enumerate(steps):
            own = dict(table) if isinstance(table, dict) else {}
            name = own.pop("step", None)
            if name not in recipes.STEPS or name in recipes.PROLOGUE + recipes.EPILOGUE:
                raise self._wrong(f"recipe[{at}].step", "is not a step that a scene may use")
            try:
                yield recipes.STEPS[name].bind(name, own)
            except ParamError as error:
                raise self._wrong(f"recipe[{at}].{error.where}", error.problem) from None

    def _wrong(self, field: str, problem: str) -> ConfigError:
        return ConfigError(f"{self._file}: {field}: {problem}")


def _captions(file: Path) -> dict[str, Texts]:
    return {caption_id: _texts(file, caption_id, texts) for caption_id, texts in _toml(file).items()}


def _texts(file: Path, field: str, value: object) -> Texts:
    if not isinstance(value, dict) or set(value) != set(LOCALES):
        raise ConfigError(f"{file}: {field}: must have exactly the locales {', '.join(LOCALES)}")
    for locale, text in value.items():
        if not isinstance(text, str) or not 1 <= len(text) <= 40:
            raise ConfigError(f"{file}: {field}.{locale}: must be a text of 1 to 40 characters")
    return dict(value)


def _toml(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"{file}: missing") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: {error}") from None
