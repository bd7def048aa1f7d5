"""What render is told by its environment."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field
from pydantic_settings import NoDecode

from mesh.config import Addresses, ExistingFile, MeshSettings
from mesh.errors import ConfigError
from mesh.lockdown.needs import Needs
from services.render import models
from services.render.engines.triton import processors
from services.render.engines.triton.processors import Processors
from services.render.fair_queue import CLASSES

MIB = 1 << 20
# What NVIDIA's driver asks the kernel: which GPUs there are, and how it was told to work.
_OF_A_GPU = (Path("/proc/driver/nvidia"), Path("/proc/devices"), Path("/proc/modules"), Path("/sys/module"))
ENGINES = ("onnx", "triton", "diffusers", "null")


def _engine_names(value: object) -> tuple[str, ...]:
    names = tuple(part.strip() for part in value.split(",")) if isinstance(value, str) else value
    if not isinstance(names, tuple) or not names or len(set(names)) != len(names) or not set(names) <= set(ENGINES):
        raise ValueError(f"must be one or several of {', '.join(ENGINES)}, each once, comma-separated")
    return names


def _scene_engines(value: object) -> dict[str, str]:
    if not isinstance(value, str):
        return dict(value) if isinstance(value, dict) else {}
    pairs = [part.strip().partition("=") for part in value.split(",") if part.strip()]
    if any(not (scene and engine) for scene, _, engine in pairs) or len({scene for scene, _, _ in pairs}) < len(pairs):
        raise ValueError("must be SCENE_ID=ENGINE, each scene once, comma-separated")
    return {scene: engine for scene, _, engine in pairs}


def _class_weights(value: object) -> dict[str, float]:
    if not isinstance(value, str):
        return dict(value) if isinstance(value, dict) else {}
    pairs = dict(part.strip().split("=", 1) for part in value.split(",") if "=" in part)
    if set(pairs) != set(CLASSES) or value.count("=") != len(pairs):
        raise ValueError(f"must be CLASS=WEIGHT, comma-separated, for each of {', '.join(CLASSES)}")
    try:
        weights = {name: float(weight) for name, weight in pairs.items()}
    except ValueError:
        weights = {}
    if not weights or not all(0.01 <= weight <= 100 for weight in weights.values()):
        raise ValueError("weights must be numbers, 0.01 to 100")
    return weights


def _endpoints(value: object) -> tuple[str, ...]:
    parts = value.split(",") if isinstance(value, str) else value if isinstance(value, tuple) else ()
    return tuple(part.strip() for part in parts if part.strip())


EngineNames = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_engine_names)]
Endpoints = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_endpoints)]
ClassWeights = Annotated[dict[str, float], NoDecode, BeforeValidator(_class_weights)]
SceneEngines = Annotated[dict[str, str], NoDecode, BeforeValidator(_scene_engines)]


class RenderSettings(MeshSettings):
    """The mesh's settings, the engine, and how much work is taken on."""

    registry_target: Addresses
    """Purge's address; of each replica, comma-separated, where it has several."""
    render_engine: EngineNames = ("onnx",)
    """``onnx``, ``triton``, ``diffusers``, ``null``; several, comma-separated, in order of preference. ``null`` makes
    no picture of the photo, only a colour for its size: for measuring and testing the mesh."""
    render_scene_engines: Annotated[SceneEngines, Field(default_factory=dict)]
    """``SCENE_ID=ENGINE``, comma-separated: scenes that another engine than the first is to make."""
    render_model_dir: Annotated[Path, Field(default_factory=models.default_dir)]
    """Where `make setup` has put the models."""
    render_processors_file: ExistingFile | None = None
    """The pinned list of processors, TOML; with ``triton``, who runs its networks. Photos go to nobody else."""
    render_pool_endpoints: Endpoints = ()
    """HOST:PORT, comma-separated: those of the list that this deployment uses. Default: all."""
    render_pool_seconds: Annotated[float, Field(gt=0, le=600)] = 30.0
    """The longest that one inference of the pool may take."""
    render_marking: Literal["on", "off"] = "on"
    """``off``: pictures don't say what they are. For tests only: where the AI Act holds, they must (Art. 50)."""
    render_c2pa_cert: ExistingFile | None = None
    """Who signs the pictures' Content Credentials: certificate chain, PEM, the signer's first."""
    render_c2pa_key: ExistingFile | None = None
    """Its key, PEM: EC (P-256, P-384) or Ed25519."""
    render_diffusers_dir: Path | None = None
    """For the engine ``diffusers``: the folder with its model (docs/engines.md)."""
    render_diffusers_manifest: Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")] = ""
    """SHA-256 of that folder's ``manifest.json``, which lists everything that may be loaded."""
    render_diffusers_device: Annotated[str, Field(pattern=r"^(cpu|cuda(:[0-9]{1,2})?)$")] = "cpu"
    """``cpu``, ``cuda`` or ``cuda:N``: where the model runs."""
    render_diffusers_dtype: Literal["float32", "float16", "bfloat16"] = "float32"
    """Of the model's weights and its work."""
    render_safety_checker: Literal["if_present", "required"] = "if_present"
    """``required``: no start without a safety checker in the model's folder. One that is there is always asked."""
    render_slots: Annotated[int, Field(ge=1, le=64)] = 2
    """Pictures that are made at the same time."""
    render_threads: Annotated[int, Field(ge=1, le=64)] = 1
    """Threads of one network's run."""
    render_queue: Annotated[int, Field(ge=0, le=10_000)] = 32
    """Photos that may be here beside those in slots, arriving or waiting; their bytes are held meanwhile."""
    render_class_weights: Annotated[ClassWeights, Field(default_factory=lambda: dict(CLASSES))]
    """A user's share of the slots by service class, while there are more photos than slots."""
    render_max_bytes: Annotated[int, Field(ge=1, le=512 * MIB)] = 33 * MIB
    """The largest scrubbed photo, bytes."""

    def pool(self) -> Processors:
        """Who runs the networks of ``triton``; nobody without it. Raises ConfigError."""
        if "triton" not in self.render_engine:
            return Processors(())
        if self.render_processors_file is None:
            raise ConfigError(f"{processors.SETTING}: must be set with the engine triton")
        return processors.load(self.render_processors_file).only(self.render_pool_endpoints)

    def needs(self) -> Needs:
        needs = super().needs().connecting(self.registry_target)
        needs = needs.reading(self.render_model_dir, self.render_diffusers_dir)
        needs = needs.reading(self.render_c2pa_cert, self.render_c2pa_key)
        pool = self.pool()
        needs = needs.reading(self.render_processors_file, *(each.ca for each in pool.listed))
        if self.render_diffusers_device != "cpu":
            needs = needs.using(*Path("/dev").glob("nvidia*")).reading(*_OF_A_GPU)
        return replace(needs.connecting(pool.endpoints), decoders=True)
