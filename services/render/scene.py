"""What a scene is: a curated recipe with its words, and what each engine needs to know to make it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from mesh.errors import Invalid
from services.render import recipe as recipes
from services.render.steps import params

KINDS = ("milestone", "portrait", "enhance")
COSTS = ("light", "standard", "heavy")
LOCALES = ("en", "fr", "es", "de")
RECIPE_ENGINES = frozenset({"onnx", "triton"})
"""Run the recipe as it stands, so they make every scene."""
ENGINES = RECIPE_ENGINES | {"diffusers"}
"""Names that a scene's file may use. The null engine is none of them: it makes no picture."""

Texts = Mapping[str, str]
"""Locale to text; all of LOCALES."""


@dataclass(frozen=True, slots=True)
class Diffusion:
    """What a diffusion model is asked for. Nobody but us writes these words (there is no free text in the system).

    mode:     "around": the world around the subject is made anew and the subject kept; "whole": the photo is repainted,
              and the face put back.
    strength: share of the noise schedule that is gone through, 0..1. guidance: classifier-free guidance scale.
    steps:    of the full schedule. identity: weight of the image prompt, where the model's folder brings an adapter.
    """

    prompt: str = params.text(10, 400)
    negative: str = params.text(0, 400)
    mode: str = params.word("around", "around", "whole")
    strength: float = params.number(0.8, 0.05, 1)
    guidance: float = params.number(6.0, 1, 20)
    steps: int = params.whole(30, 1, 100)
    identity: float = params.number(0.6, 0, 1)


@dataclass(frozen=True, slots=True)
class Preview:
    """A small picture of a drawn child in the scene. media_type: "image/jpeg" or "image/webp"."""

    data: bytes
    media_type: str


@dataclass(frozen=True, slots=True)
class Scene:
    """A curated recipe.

    captions: id to texts, the first is the default; empty for kinds without words.
    recipe:   complete, in order. min_side: px, the photo's shorter side. cost: how much work, in three classes.
    intent:   what the picture is to be, in one English sentence, whatever makes it.
    diffusion: what the diffusers engine is asked for; None: it doesn't make this scene.
    equivalent: names of engines whose pictures of this scene may stand in for each other.
    preview:  None where its folder has none.
    source:   SHA-256 of what the picture is made from: its file, captions and pictures. edition: that, and the preview.
    """

    id: str
    kind: str
    title: Texts
    captions: Mapping[str, Texts]
    recipe: recipes.Recipe
    min_side: int
    cost: str
    intent: str
    diffusion: Diffusion | None = None
    equivalent: frozenset[str] = frozenset()
    preview: Preview | None = None
    source: str = ""

    @property
    def edition(self) -> str:
        return hashlib.sha256(f"{self.source} {self.preview}".encode()).hexdigest()

    def made_by(self, engine: str) -> bool:
        """Whether the engine of that name can make it."""
        return engine != "diffusers" or self.diffusion is not None

    def caption(self, caption_id: str, locale: str) -> str:
        """The words, in ``locale`` or English. Raises Invalid("UNKNOWN_CAPTION")."""
        if not self.captions and not caption_id:
            return ""
        texts = self.captions.get(caption_id or next(iter(self.captions), ""))
        if texts is None:
            raise Invalid(
                "UNKNOWN_CAPTION", "The scene has no such caption; take one from its list.", field="caption_id"
            )
        return localized(texts, locale)


def localized(texts: Texts, locale: str) -> str:
    """BCP 47 "fr-CA" finds "fr"; what we have no words in finds English."""
    return texts.get(locale.replace("_", "-").split("-")[0].lower(), texts["en"])
