"""The typefaces for captions: all under the SIL Open Font License 1.1, all from packages.

Found by ``find_spec`` rather than imported: the packages' modules only glob their own folder.
"""

from __future__ import annotations

import importlib.util
from functools import cache
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


@cache
def face(name: str, size: int) -> ImageFont.FreeTypeFont:
    """A face at ``size`` px. Holds glyphs only, and captions are ours, so keeping it keeps nothing of a photo."""
    return ImageFont.truetype(str(path(name)), size)
