"""Which version this is.

Asked when this is imported, which ``mesh.app`` does before the lockdown: afterwards the packages' metadata may be out
of reach, and a version that can't be read is None.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import Final

VERSION: Final = version("mayfly")
