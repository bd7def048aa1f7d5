"""torch and diffusers, imported late and told to stay at home: no hub, no telemetry, no caches, no threads of its own.

Both read their environment once, when they are imported; so it is set here and nowhere else.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
from dataclasses import dataclass
from typing import Any

from mesh.errors import ConfigError

PACKAGES = ("torch", "diffusers", "transformers")
ENVIRONMENT = {
    # https://huggingface.co/docs/huggingface_hub/package_reference/environment_variables
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_IMPLICIT_TOKEN": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    # What they print may quote what they were given (rule R7).
    "DIFFUSERS_VERBOSITY": "critical",
    "TRANSFORMERS_VERBOSITY": "critical",
    # A pool of threads that would be started by the first prompt.
    "TOKENIZERS_PARALLELISM": "false",
    # MKL otherwise keeps its buffers, with what it last multiplied (docs/engines.md).
    "MKL_DISABLE_FAST_MM": "1",
    # torch.compile, which is not used, wants a folder for its cache as soon as it is imported; here nobody can write.
    "TORCHINDUCTOR_CACHE_DIR": "/proc",
    # Compiled kernels go into the home folder otherwise.
    "CUDA_CACHE_DISABLE": "1",
}


@dataclass(frozen=True, slots=True)
class Libraries:
    """The modules. Untyped: they come with an extra, and their types differ from release to release."""

    torch: Any
    diffusers: Any
    transformers: Any


def are_installed() -> bool:
    return all(importlib.util.find_spec(name) is not None for name in PACKAGES)


def load(threads: int) -> Libraries:
    """Imports them; takes seconds. threads: of one operation on the CPU. Raises ConfigError where they aren't."""
    if not are_installed():
        raise ConfigError(
            "MAYFLY_RENDER_ENGINE: diffusers takes the extra of that name: pip install 'mayfly[diffusers]'"
        )
    os.environ.update(ENVIRONMENT, OMP_NUM_THREADS=str(threads))
    torch, diffusers, transformers = map(importlib.import_module, PACKAGES)
    for library in (diffusers, transformers):
        library.utils.logging.disable_progress_bar()
    torch.set_num_threads(threads)
    # The same photo, scene and seed make the same picture: no choice of kernels by trying which is faster today.
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True
    return Libraries(torch, diffusers, transformers)
