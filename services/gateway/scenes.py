"""Render's catalogue, kept, so that an unknown scene is refused before there is a lease.

It is asked for anew at most every few seconds, by its edition: the answer is short unless something has changed.
"""

from __future__ import annotations

from collections.abc import Mapping

from mayfly.gateway.v1 import gateway_pb2 as pb
from mayfly.render.v1 import render_pb2
from mesh.clock import Clock
from mesh.errors import Invalid, Unavailable
from services.gateway.peers import SceneSource

_FRESH_SECONDS = 5.0
_MISSED_SECONDS = 1.0  # after which somebody's wish for what isn't there has render asked again
_KINDS = {
    "milestone": pb.SCENE_KIND_MILESTONE,
    "portrait": pb.SCENE_KIND_PORTRAIT,
    "enhance": pb.SCENE_KIND_ENHANCE,
}
_COSTS = {"light": pb.SCENE_COST_LIGHT, "standard": pb.SCENE_COST_STANDARD, "heavy": pb.SCENE_COST_HEAVY}


class Scenes:
    """What can be made."""

    def __init__(self, source: SceneSource, clock: Clock) -> None:
        self._source = source
        self._clock = clock
        self._scenes: Mapping[str, render_pb2.CatalogueScene] = {}
        self._edition = ""
        self._asked_at = float("-inf")

    async def list(self, locale: str, *, with_previews: bool = False) -> list[pb.Scene]:
        """The catalogue in one language; English where we don't have it. Unavailable while render was never seen."""
        await self._refresh(_FRESH_SECONDS)
        return [_localized(scene, locale, with_previews=with_previews) for scene in self._scenes.values()]

    async def check(self, scene_id: str, caption_id: str) -> str:
        """What the scene costs, as render says: "light", "standard" or "heavy".

        Raises Invalid(UNKNOWN_SCENE, UNKNOWN_CAPTION) unless there is such a scene with such words.
        """
        await self._refresh(_FRESH_SECONDS)
        if not self._has(scene_id, caption_id):
            await self._refresh(_MISSED_SECONDS)
        if scene_id not in self._scenes:
            raise Invalid("UNKNOWN_SCENE", "There is no such scene; take one from ListScenes.", field="start.scene_id")
        if not self._has(scene_id, caption_id):
            raise Invalid(
                "UNKNOWN_CAPTION", "The scene has no such caption; take one from its list.", field="start.caption_id"
            )
        return self._scenes[scene_id].cost

    def _has(self, scene_id: str, caption_id: str) -> bool:
        scene = self._scenes.get(scene_id)
        return scene is not None and (
            not caption_id or any(caption.caption_id == caption_id for caption in scene.captions)
        )

    async def _refresh(self, seconds: float) -> None:
        """Unless render was asked less than so long ago."""
        if self._clock.monotonic() < self._asked_at + seconds:
            return
        try:
            found = await self._source.list(self._edition)
        except Unavailable:
            if not self._scenes:
                raise
            return  # an old catalogue is better than none; render itself checks again
        if not found.unchanged:
            self._scenes = {scene.scene_id: scene for scene in found.scenes}
            self._edition = found.edition
        self._asked_at = self._clock.monotonic()


def _localized(scene: render_pb2.CatalogueScene, locale: str, *, with_previews: bool) -> pb.Scene:
    return pb.Scene(
        scene_id=scene.scene_id,
        kind=_KINDS.get(scene.kind, pb.SCENE_KIND_UNSPECIFIED),
        title=_text(scene.titles, locale),
        captions=[
            pb.Caption(caption_id=caption.caption_id, text=_text(caption.texts, locale)) for caption in scene.captions
        ],
        min_side=scene.min_side,
        cost=_COSTS.get(scene.cost, pb.SCENE_COST_UNSPECIFIED),
        preview=scene.preview if with_previews else b"",
        preview_media_type=scene.preview_media_type if with_previews else "",
    )


def _text(texts: Mapping[str, str], locale: str) -> str:
    language = locale.replace("_", "-").split("-")[0].lower()
    return texts.get(language) or texts.get("en", "")
