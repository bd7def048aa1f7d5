"""The scenes that there are: one folder each (``scene_file`` reads it), all checked before any of them is served.

``scenes/<scene_id>/scene.toml`` holds a scene of ours, ``scenes/captions.toml`` the words. A deployment may have a
folder of its own beside it (MAYFLY_RENDER_SCENES_DIR). A broken file stops the start with its name and the field.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

from mesh.errors import ConfigError, Invalid
from services.render import scene_file
from services.render.scene import KINDS, Scene

BUILTIN = Path(__file__).parent / "scenes"
# ListScenes answers in one message, which may have 1 MiB: captions of a scene take 2 KiB at most.
MOST_SCENES = 128
MOST_PREVIEWS_BYTES = 640 << 10


class Catalogue:
    """Read by whoever serves or makes scenes; ``take`` replaces what is in it, for all of them at once."""

    def __init__(self, scenes: tuple[Scene, ...]) -> None:
        self._scenes = {scene.id: scene for scene in scenes}
        told = "\n".join(f"{scene.id} {scene.edition}" for scene in scenes)
        self.edition = hashlib.sha256(told.encode()).hexdigest()
        """Another one as soon as anything in it differs: 64 lowercase hex digits."""

    @classmethod
    def load(cls, directory: Path = BUILTIN, own: Path | None = None) -> Catalogue:
        """directory: must hold scenes; own: a deployment's, may be empty. Raises ConfigError naming file and field."""
        words = scene_file.read_words(directory / "captions.toml")
        folders = _folders(directory)
        if not folders:
            raise ConfigError(f"{directory}: no scenes here (<scene_id>/{scene_file.FILE})")
        ours = {folder.name for folder in folders}
        for folder in _folders(own) if own is not None else ():
            if folder.name in ours:
                raise scene_file.SceneError(folder / scene_file.FILE, "id", "there is a built-in scene of that name")
            folders.append(folder)
        if len(folders) > MOST_SCENES:
            raise ConfigError(f"{own or directory}: {len(folders)} scenes; at most {MOST_SCENES} can be served")
        scenes = [scene_file.read(folder, words) for folder in folders]
        previews = sum(len(scene.preview.data) for scene in scenes if scene.preview)
        if previews > MOST_PREVIEWS_BYTES:
            raise ConfigError(f"the previews of all scenes have {previews:,} bytes; at most {MOST_PREVIEWS_BYTES:,}")
        return cls(tuple(sorted(scenes, key=lambda scene: (KINDS.index(scene.kind), scene.id))))

    def only(self, makes: Callable[[Scene], bool]) -> Catalogue:
        """What of it can be made here. Raises ConfigError when that is nothing."""
        kept = tuple(scene for scene in self.scenes() if makes(scene))
        if not kept:
            raise ConfigError("MAYFLY_RENDER_ENGINE: none of these engines makes any scene")
        return Catalogue(kept)

    def take(self, other: Catalogue) -> None:
        """From now on it has the other's scenes. A photo that waits for one that is gone is refused when its turn
        comes; a picture that is being made goes on with the recipe that it began with."""
        self._scenes, self.edition = other._scenes, other.edition

    def get(self, scene_id: str) -> Scene:
        """Raises Invalid("UNKNOWN_SCENE")."""
        scene = self._scenes.get(scene_id)
        if scene is None:
            raise unknown_scene()
        return scene

    def scenes(self) -> tuple[Scene, ...]:
        """By kind (milestone, portrait, enhance), then by id."""
        return tuple(self._scenes.values())


def _folders(directory: Path) -> list[Path]:
    """Those of scenes, by name: each that has a scene.toml. One that is just being laid down has none yet."""
    try:
        return sorted(folder for folder in directory.iterdir() if (folder / scene_file.FILE).is_file())
    except OSError as error:
        raise ConfigError(f"{directory}: can't be read: {error.strerror}") from None


def unknown_scene() -> Invalid:
    """For a scene that isn't there, or that isn't made by whoever is asked."""
    return Invalid("UNKNOWN_SCENE", "There is no such scene; take one from the list of scenes.", field="scene_id")
