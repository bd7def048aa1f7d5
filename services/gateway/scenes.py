"""Render's catalogue, remembered for a minute, so that an unknown scene is refused before there is a lease."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mayfly.gateway.v1 import gateway_pb2 as pb
from mayfly.render.v1 import render_pb2
from mesh.clock import Clock
from mesh.errors import Invalid, Unavailable
from services.gateway.peers import SceneSource

_FRESH_SECONDS = 60.0
_KINDS = {
    "milestone": pb.SCENE_KIND_MILESTONE,
    "portrait": pb.SCENE_KIND_PORTRAIT,
    "enhance": pb.SCENE_KIND_ENHANCE,
}


class Scenes:
    """What can be made."""

    def __init__(self, source: SceneSource, clock: Clock) -> None:
        self._source = source
        self._clock = clock
        self._scenes: Sequence[render_pb2.CatalogueScene] = ()
        self._stale_at = float("-inf")

    async def list(self, locale: str) -> list[pb.Scene]:
        """The catalogue in one language; English where we don't have it. Unavailable while render was never seen."""
        await self._refresh()
        return [_localized(scene, locale) for scene in self._scenes]

    async def check(self, scene_id: str, caption_id: str) -> None:
        """Invalid(UNKNOWN_SCENE, UNKNOWN_CAPTION) unless there is such a scene with such words."""
        await self._refresh()
        scene = next((scene for scene in self._scenes if scene.scene_id == scene_id), None)
        if scene is None:
            raise Invalid("UNKNOWN_SCENE", "There is no such scene; take one from ListScenes.", field="start.scene_id")
        if caption_id and all(caption.caption_id != caption_id for caption in scene.captions):
            raise Invalid(
                "UNKNOWN_CAPTION", "The scene has no such caption; take one from its list.", field="start.caption_id"
            )

    async def _refresh(self) -> None:
        if self._clock.monotonic() < self._stale_at:
            return
        try:
            self._scenes = await self._source.list()
        except Unavailable:
            if not self._scenes:
                raise
            return  # the catalogue of a minute ago is better than none; render itself checks again
        self._stale_at = self._clock.monotonic() + _FRESH_SECONDS


def _localized(scene: render_pb2.CatalogueScene, locale: str) -> pb.Scene:
    return pb.Scene(
        scene_id=scene.scene_id,
        kind=_KINDS.get(scene.kind, pb.SCENE_KIND_UNSPECIFIED),
        title=_text(scene.titles, locale),
        captions=[
            pb.Caption(caption_id=caption.caption_id, text=_text(caption.texts, locale)) for caption in scene.captions
        ],
        min_side=scene.min_side,
    )


def _text(texts: Mapping[str, str], locale: str) -> str:
    language = locale.replace("_", "-").split("-")[0].lower()
    return texts.get(language) or texts.get("en", "")
