"""The photo that the demo takes when it is given none: a real portrait, into which metadata is planted."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass, field
from pathlib import Path

from clients.demo.plant import plant
from mesh.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Sample:
    """canaries: name -> bytes that were planted and may turn up nowhere afterwards."""

    data: bytes
    canaries: dict[str, bytes] = field(default_factory=dict)


def load(photo: Path | None) -> Sample:
    """``photo`` as it is, or the portrait in matplotlib's sample data (public domain) with planted metadata."""
    if photo is not None:
        return Sample(photo.read_bytes())
    spec = importlib.util.find_spec("matplotlib")
    if spec is None or spec.origin is None:
        raise ConfigError("The sample portrait comes with matplotlib, which is not installed; give a photo instead.")
    portrait = Path(spec.origin).parent / "mpl-data" / "sample_data" / "grace_hopper.jpg"
    return Sample(*plant(portrait.read_bytes()))
