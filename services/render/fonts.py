"""The typefaces for captions: all under the SIL Open Font License 1.1, all from packages.

Found by ``find_spec`` rather than imported: the packages' modules only glob their own folder.
"""

from __future__ import annotations

import importlib.util
import io
from functools import cache, lru_cache
from pathlib import Path

from PIL import ImageFont

from mesh.errors import ConfigError

FACES = {
    # name: (package, file)
    "serif": ("font_source_serif_pro", "SourceSerifPro-SemiboldIt.ttf"),
    "hand": ("font_amatic_sc", "AmaticSC-Bold.ttf"),
    "round": ("font_fredoka_one", "FredokaOne-Regular.ttf"),
}


def path(name: str) -> Path:
    """The file of a face; ConfigError when its package is not installed."""
    package, file = FACES[name]
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise ConfigError(f"font package {package.replace('_', '-')} is not installed; run `make setup`")
    return Path(spec.origin).parent / "files" / file


def load() -> None:
    """Read every face now: a missing package stops the start, and no render opens a file."""
    for name in FACES:
        _data(name)


@lru_cache(maxsize=64)
def face(name: str, size: int) -> ImageFont.FreeTypeFont:
    """A face at ``size`` px. Holds glyphs only, and captions are ours, so keeping it keeps nothing of a photo."""
    return ImageFont.truetype(io.BytesIO(_data(name)), size)


@cache
def _data(name: str) -> bytes:
    return path(name).read_bytes()
