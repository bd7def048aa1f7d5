"""Lays out the model repository that Triton serves: our configurations, model.py, and the networks, checksums checked.

Usage: python -m deploy.triton.lay_out FOLDER [--threads N] [--copies N]

FOLDER must not exist, or be one that was laid out before. To serve a further network, give it a folder with a
config.pbtxt in model_repository/, and its file a place in NETWORKS.
"""

from __future__ import annotations

import argparse
import re
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from mesh.errors import ConfigError
from services.render import models

HERE = Path(__file__).parent
SOURCE = HERE / "model_repository"
VERSION = "1"
NETWORKS: Mapping[str, Callable[[], Path]] = {
    models.CUTOUT.name: lambda: models.verify(models.default_dir()),
    models.STYLE: models.style_network,
}
"""The files that configurations name, and where the pinned ones are. Raise ConfigError for one that isn't."""
_NETWORK = re.compile(r'key: "network" value: \{ string_value: "([^"]+)" \}')


def lay_out(folder: Path, *, threads: int = 1, copies: int = 1) -> None:
    """threads: of one run. copies: of each network, which run at the same time. Raises ConfigError."""
    for source in sorted(path.parent for path in SOURCE.glob("*/config.pbtxt")):
        config = (source / "config.pbtxt").read_text("utf-8")
        named = _NETWORK.search(config)
        if named is None or named.group(1) not in NETWORKS:
            raise ConfigError(f"{source.name}/config.pbtxt: names no network of ours")
        version = folder / source.name / VERSION
        version.mkdir(parents=True, exist_ok=True)
        config = config.replace('{ string_value: "1" }', f'{{ string_value: "{threads}" }}')
        config = config.replace("KIND_CPU count: 1", f"KIND_CPU count: {copies}")
        (folder / source.name / "config.pbtxt").write_text(config, "utf-8")
        shutil.copyfile(HERE / "model.py", version / "model.py")
        shutil.copyfile(NETWORKS[named.group(1)](), version / named.group(1))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m deploy.triton.lay_out", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--copies", type=int, default=1)
    told = parser.parse_args()
    try:
        lay_out(told.folder, threads=told.threads, copies=told.copies)
    except ConfigError as error:
        parser.exit(78, f"{error}\n")
    sys.stdout.write(f"{told.folder} is laid out\n")


if __name__ == "__main__":
    main()
