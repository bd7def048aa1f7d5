"""Reads one scene: its folder with ``scene.toml``, the pictures that its recipe names, and ``preview.jpg``.

Nothing that is unknown, missing or out of bounds passes: each complaint is a SceneError with file and field.
"""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mesh.errors import ConfigError
from services.render import recipe as recipes
from services.render.scene import COSTS, ENGINES, KINDS, LOCALES, Diffusion, Preview, Scene, Texts
from services.render.steps import asset, params
from services.render.steps.asset import Asset
from services.render.steps.params import ParamError

FILE = "scene.toml"
PREVIEWS = {"preview.jpg": "image/jpeg", "preview.webp": "image/webp"}
MOST_PREVIEW_BYTES = 20 << 10
MOST_PREVIEW_SIDE = 320  # px
_FIELDS = {"kind", "cost", "min_side", "title", "captions", "words", "recipe", "intent", "engines"}
_ID = re.compile(r"[a-z][a-z0-9_]{1,39}")
_ASSET = "image"
"""In a recipe, the field that names a picture of the folder: in any step or layer."""


class SceneError(ConfigError):
    """file: as far as its folder's name. field: dotted, as in the file; "" where the file as a whole is wrong."""

    def __init__(self, file: Path, field: str, problem: str) -> None:
        super().__init__(f"{file}: {field}: {problem}" if field else f"{file}: {problem}")
        self.file = f"{file.parent.name}/{file.name}"
        self.field = field


def read(folder: Path, words: Mapping[str, Texts]) -> Scene:
    """The scene in ``folder``. words: captions that every scene may list. Raises SceneError."""
    return _Reader(folder, words).scene()


def read_words(file: Path) -> dict[str, Texts]:
    """Caption ids and their texts. Raises SceneError."""
    table, _ = _toml(file)
    return {caption_id: _texts(file, caption_id, texts) for caption_id, texts in table.items()}


class _Reader:
    def __init__(self, folder: Path, words: Mapping[str, Texts]) -> None:
        self._folder = folder
        self._file = folder / FILE
        self._words = words
        self._table, raw = _toml(self._file)
        self._digest = hashlib.sha256(raw)
        self._assets: dict[str, Asset] = {}

    def scene(self) -> Scene:
        name = self._folder.name
        if not _ID.fullmatch(name):
            raise self._wrong("id", "the folder's name must be lower_snake_case, 2 to 40 characters")
        unknown = set(self._table) - _FIELDS
        if unknown:
            raise self._wrong(min(unknown), "unknown")
        kind = self._choice("kind", KINDS)
        captions = self._captions(kind)
        recipe = recipes.complete(tuple(self._steps()))
        self._digest.update(repr(captions).encode())
        return Scene(
            name,
            kind,
            _texts(self._file, "title", self._table.get("title")),
            captions,
            recipe,
            self._min_side(),
            self._choice("cost", COSTS),
            self._intent(),
            self._diffusion(),
            self._equivalent(),
            self._preview(),
            self._digest.hexdigest(),
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
        own = self._own_words()
        for at, caption_id in enumerate(ids):
            if not isinstance(caption_id, str) or (caption_id not in self._words and caption_id not in own):
                raise self._wrong(f"captions[{at}]", "is neither in captions.toml nor in [words] of this file")
        for caption_id in own:
            if caption_id not in ids:
                raise self._wrong(f"words.{caption_id}", "is not among the scene's captions")
        return {caption_id: own.get(caption_id) or self._words[caption_id] for caption_id in ids}

    def _own_words(self) -> dict[str, Texts]:
        table = self._table.get("words", {})
        if not isinstance(table, dict):
            raise self._wrong("words", "must be a table of captions")
        for caption_id in table:
            if not _ID.fullmatch(caption_id):
                raise self._wrong(f"words.{caption_id}", "must be lower_snake_case, 2 to 40 characters")
            if caption_id in self._words:
                raise self._wrong(f"words.{caption_id}", "is in captions.toml already; it may not mean two things")
        return {caption_id: _texts(self._file, f"words.{caption_id}", texts) for caption_id, texts in table.items()}

    def _steps(self) -> Iterator[Any]:
        steps = self._table.get("recipe")
        if not isinstance(steps, list) or not steps:
            raise self._wrong("recipe", "must be a list of tables, [[recipe]]")
        for at, table in enumerate(steps):
            own = self._with_assets(dict(table), f"recipe[{at}]") if isinstance(table, dict) else {}
            name = own.pop("step", None)
            if name not in recipes.STEPS or name in recipes.PROLOGUE + recipes.EPILOGUE:
                raise self._wrong(f"recipe[{at}].step", "is not a step that a scene may use")
            try:
                yield recipes.STEPS[name].bind(name, own)
            except ParamError as error:
                raise self._wrong(f"recipe[{at}].{error.where}", error.problem) from None

    def _with_assets(self, table: dict[str, Any], where: str) -> dict[str, Any]:
        """The table with the pictures in the place of their names, also of those in the layers within it."""
        out: dict[str, Any] = {}
        for key, value in table.items():
            if key == _ASSET and isinstance(value, str):
                out[key] = self._asset(value, f"{where}.{key}")
            elif isinstance(value, list):
                out[key] = [
                    self._with_assets(each, f"{where}.{key}[{at}]") if isinstance(each, dict) else each
                    for at, each in enumerate(value)
                ]
            else:
                out[key] = value
        return out

    def _asset(self, name: str, where: str) -> Asset:
        try:
            if name not in self._assets:
                self._assets[name] = asset.read(self._folder, name)
                self._digest.update(name.encode() + self._assets[name].rgba.tobytes())
            return self._assets[name]
        except ValueError as error:
            raise self._wrong(where, str(error)) from None
        except OSError as error:
            raise self._wrong(where, f"{name} can't be read: {error.strerror}") from None

    def _preview(self) -> Preview | None:
        found = [name for name in PREVIEWS if (self._folder / name).exists()]
        if not found:
            return None
        file = self._folder / found[0]
        try:
            data = asset.contents(self._folder, file.name, MOST_PREVIEW_BYTES)
            height, width = asset.read(self._folder, file.name).rgba.shape[:2]
        except ValueError as error:
            raise SceneError(file, "", str(error)) from None
        if max(height, width) > MOST_PREVIEW_SIDE:
            raise SceneError(file, "", f"is {width} × {height} px; at most {MOST_PREVIEW_SIDE} a side")
        return Preview(data, PREVIEWS[file.name])

    def _wrong(self, field: str, problem: str) -> SceneError:
        return SceneError(self._file, field, problem)


def _texts(file: Path, field: str, value: object) -> Texts:
    if not isinstance(value, dict) or set(value) != set(LOCALES):
        raise SceneError(file, field, f"must have exactly the locales {', '.join(LOCALES)}")
    for locale, text in value.items():
        if not isinstance(text, str) or not 1 <= len(text) <= 40 or not text.isprintable():
            raise SceneError(file, f"{field}.{locale}", "must be a text of 1 to 40 characters")
    return dict(value)


def _toml(file: Path) -> tuple[dict[str, Any], bytes]:
    """Its tables, and its bytes."""
    try:
        raw = file.read_bytes()
        return tomllib.loads(raw.decode("utf-8")), raw
    except FileNotFoundError:
        raise SceneError(file, "", "missing") from None
    except OSError as error:
        raise SceneError(file, "", f"can't be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SceneError(file, "", str(error)) from None
