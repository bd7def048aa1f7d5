"""A diffusion model from a local folder, and one picture at a time made by it.

The folder (docs/engines.md): ``model/``, a pipeline as diffusers saves it; ``identity/``, an IP-Adapter, if wanted:
``ip_adapter.safetensors`` and its ``image_encoder/``. Nothing is loaded that its pinned manifest doesn't list.
"""

from __future__ import annotations

import inspect
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from mesh.errors import ConfigError
from services.render.engines.diffusers import libraries, manifest, safety
from services.render.engines.diffusers.libraries import Libraries
from services.render.scene import Diffusion
from services.render.steps.pixels import Array, resize, to_bytes

GoOn = Callable[[float], None]
"""Told, from the worker's thread, which share of the model's work is done. Raises what is to end it."""

MODEL, IDENTITY = "model", "identity"
_ADAPTER, _ENCODER = "ip_adapter.safetensors", "image_encoder"
_MULTIPLE = 16  # px: sides that all of the families take (Stable Diffusion 8, Flux 16)
_LOOK_SECONDS = 0.05  # between two looks at whether a job that waits for the model is still wanted
_WARM = Diffusion("a small landscape", "text", strength=1.0, steps=2)


@dataclass(frozen=True, slots=True)
class Weights:
    """folder, manifest: what is loaded, and the SHA-256 of its list. device, dtype: torch's words.

    threads: of one operation on the CPU. checker_required: no start without a safety checker among the weights.
    """

    folder: Path
    manifest: str
    device: str = "cpu"
    dtype: str = "float32"
    threads: int = 1
    checker_required: bool = False


@dataclass(frozen=True, slots=True)
class Asked:
    """One picture. start: (H, W, 3), what the model begins from. free: (H, W), 1 where it may paint; None: everywhere.

    portrait: (h, w, 3), who is to be recognised in it.
    """

    scene: Diffusion
    start: Array
    free: Array | None
    portrait: Array
    seed: int


class Pipeline:
    """Called from several worker threads; the model works for one of them at a time.

    A pipeline keeps state while it runs (its scheduler's, the adapter's weight), so two at once would mix two photos.
    Nor are photos put into one batch: scenes differ in steps and strength, one that is taken back would have to wait
    for the others, and a failure would be everybody's.
    """

    def __init__(self, weights: Weights) -> None:
        """Loads and warms. Raises ConfigError for what is missing, altered, or no model."""
        manifest.verify(weights.folder, weights.manifest)
        self._libraries = libraries.load(weights.threads)
        self._lock = threading.Lock()
        self._device = _device(self._libraries, weights.device)
        try:
            self._load(weights)
        except (OSError, ValueError, RuntimeError, KeyError, ImportError) as error:  # whatever a wrong file leads to
            raise ConfigError(f"{weights.folder}: the model does not load: {type(error).__name__}") from None
        if weights.checker_required and self.checker is None:
            raise ConfigError(f"MAYFLY_RENDER_SAFETY_CHECKER: {weights.folder} has no safety checker")
        self._warm()

    def _load(self, weights: Weights) -> None:
        diffusers, dtype = self._libraries.diffusers, getattr(self._libraries.torch, weights.dtype)
        around = diffusers.AutoPipelineForInpainting.from_pretrained(
            weights.folder / MODEL, local_files_only=True, use_safetensors=True, dtype=dtype
        )
        self.checker = safety.of(around, self._libraries.torch)
        self.knows_faces = (weights.folder / IDENTITY).is_dir()
        if self.knows_faces:
            around.load_ip_adapter(
                weights.folder / IDENTITY,
                subfolder="",
                weight_name=_ADAPTER,
                image_encoder_folder=_ENCODER,
                local_files_only=True,
            )
        around.to(self._device)
        core = getattr(around, "unet", None) or around.transformer
        cells = getattr(core.config, "sample_size", None) or around.default_sample_size
        self.native = int(cells * around.vae_scale_factor)
        """px; the side of the squares that the model was trained on."""
        self._around, self._whole = around, around
        if core.config.in_channels != 2 * around.vae.config.latent_channels + 1:
            # Else it was trained to paint with a mask alone, and repaints a whole photo with one that covers it.
            self._whole = diffusers.AutoPipelineForImage2Image.from_pipe(around)
        for pipeline in (self._around, self._whole):
            pipeline.set_progress_bar_config(disable=True)

    def _warm(self) -> None:
        """Also shows, before the first photo, that the model's parts fit each other."""
        ground = np.full((64, 64, 3), 0.5, np.float32)
        for free in (None, np.ones((64, 64), np.float32)):
            try:
                self._run(Asked(_WARM, ground, free, ground, 0), (64, 64), lambda share: None)
            except (ValueError, RuntimeError, TypeError, AttributeError) as error:
                raise ConfigError(f"the diffusion model does not run: {type(error).__name__}") from None

    def paint(self, asked: Asked, go_on: GoOn) -> Array:
        """(H, W, 3), as large as ``asked.start``. ``go_on`` is called while it waits, and after each denoising step.

        Raises what that raises; Invalid(PICTURE_REFUSED).
        """
        height, width = asked.start.shape[:2]
        with self._turn(go_on):
            made = self._run(asked, self._fit(width, height), go_on)
            if self.checker is not None and not self.checker(made):
                raise safety.refused()
        return np.clip(resize(made, width, height, Image.Resampling.LANCZOS), 0, 1)

    def close(self) -> None:
        del self._around, self._whole, self.checker
        self._empty_cache()

    @contextmanager
    def _turn(self, go_on: GoOn) -> Iterator[None]:
        while not self._lock.acquire(timeout=_LOOK_SECONDS):
            go_on(0.0)
        try:
            yield
        finally:
            self._lock.release()

    def _run(self, asked: Asked, size: tuple[int, int], go_on: GoOn) -> Array:
        pipeline = self._whole if asked.free is None else self._around
        # A scheduler keeps the last predictions of the picture that it has made; each job gets its own.
        kept = pipeline.scheduler
        pipeline.scheduler = type(kept).from_config(kept.config)
        try:
            with self._libraries.torch.inference_mode():
                out = pipeline(**self._arguments(pipeline, asked, size, go_on)).images[0]
        except BaseException as error:
            # The half-made picture is in the frames of whatever was at work.
            traceback.clear_frames(error.__traceback__)
            raise
        finally:
            pipeline.scheduler = kept
            self._empty_cache()
        made = np.array(out, np.float32)
        if not np.isfinite(made).all():  # half precision overflows; converted, that would be black
            raise ArithmeticError("the model's picture holds no numbers")
        return made

    def _arguments(self, pipeline: Any, asked: Asked, size: tuple[int, int], go_on: GoOn) -> dict[str, Any]:
        scene, (width, height) = asked.scene, size
        known = inspect.signature(pipeline.__call__).parameters

        def after_a_step(running: Any, index: int, timestep: Any, values: dict[str, Any]) -> dict[str, Any]:
            go_on((index + 1) / max(running.num_timesteps, index + 1))
            return {}

        given = {
            "prompt": scene.prompt,
            "negative_prompt": scene.negative,
            "image": _image(asked.start, width, height),
            "height": height,
            "width": width,
            "strength": scene.strength,
            "num_inference_steps": max(scene.steps, int(np.ceil(1 / scene.strength))),
            "guidance_scale": scene.guidance,
            # The CPU's numbers, wherever the model runs: a seed means the same on every machine.
            "generator": self._libraries.torch.Generator("cpu").manual_seed(asked.seed & 0x7FFF_FFFF_FFFF_FFFF),
            "output_type": "np",
            "callback_on_step_end": after_a_step,
            "callback_on_step_end_tensor_inputs": [],
        }
        if "mask_image" in known:
            free = np.ones(asked.start.shape[:2], np.float32) if asked.free is None else asked.free
            given["mask_image"] = _mask(free, width, height)
        if self.knows_faces:
            # Around a child that is kept anyway, a portrait as prompt would put its face into the world as well.
            pipeline.set_ip_adapter_scale(scene.identity if asked.free is None else 0.0)
            given["ip_adapter_image"] = Image.fromarray(to_bytes(asked.portrait))
        return {name: value for name, value in given.items() if name in known}

    def _fit(self, width: int, height: int) -> tuple[int, int]:
        """The size at which the model works: as many pixels as it was trained on, in the picture's shape."""
        scale = self.native / (width * height) ** 0.5
        wide, high = (max(1, round(side * scale / _MULTIPLE)) * _MULTIPLE for side in (width, height))
        return wide, high

    def _empty_cache(self) -> None:
        """What torch's own allocator keeps of a picture on a GPU goes back to the driver."""
        if self._device.type == "cuda":
            self._libraries.torch.cuda.empty_cache()


def _device(loaded: Libraries, name: str) -> Any:
    device = loaded.torch.device(name)
    if device.type == "cuda" and not loaded.torch.cuda.is_available():
        raise ConfigError(f"MAYFLY_RENDER_DIFFUSERS_DEVICE: {name}: torch finds no such device")
    return device


def _image(rgb: Array, width: int, height: int) -> Image.Image:
    return Image.fromarray(to_bytes(resize(rgb, width, height, Image.Resampling.LANCZOS)))


def _mask(free: Array, width: int, height: int) -> Image.Image:
    return Image.fromarray(to_bytes(resize(free, width, height, Image.Resampling.BOX)))
