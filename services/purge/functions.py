"""The function library that the registry's Redis runs: ``functions.lua``."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

LIBRARY = "mayfly_2"
"""Library name and prefix of its functions; raise the number with any change that old replicas can't live with."""


@cache
def source() -> str:
    """The library's code; its first line names it."""
    return files("services.purge").joinpath("functions.lua").read_text("utf-8")
