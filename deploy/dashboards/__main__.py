"""Writes every dashboard: Grafana's JSON and Prometheus's console templates. ``--check`` compares instead of writing.

Usage: python -m deploy.dashboards [--check]
"""

from __future__ import annotations

import sys
from pathlib import Path

from deploy.dashboards import console, grafana, mesh, photos, promises, render

DEPLOY = Path(__file__).parents[1]
BOARDS = (photos.BOARD, promises.BOARD, mesh.BOARD, render.BOARD)


def files(deploy: Path = DEPLOY) -> dict[Path, str]:
    """Path -> content of everything that is generated."""
    built = {deploy / f"grafana/{board.name}.json": grafana.encode(board) for board in BOARDS}
    return built | {
        deploy / f"prometheus/consoles/{board.name}.html": console.encode(board, BOARDS) for board in BOARDS
    }


def drifted(deploy: Path = DEPLOY) -> list[str]:
    """The names of files that are not what the code builds, and of those that nothing builds."""
    built = files(deploy)
    there = {path for path in built if path.is_file()}
    there |= {*(deploy / "grafana").glob("*.json"), *(deploy / "prometheus/consoles").glob("*.html")}
    wrong = [path for path in there if path not in built or path.read_text(encoding="utf-8") != built[path]]
    return sorted(path.name for path in {*wrong, *(built.keys() - there)})


def main() -> None:
    if "--check" not in sys.argv:
        for path, content in files().items():
            path.parent.mkdir(exist_ok=True)
            path.write_text(content, encoding="utf-8")
    elif wrong := drifted():
        sys.exit(f"{', '.join(wrong)}: not what deploy/dashboards builds; run `make dashboards`")


if __name__ == "__main__":
    main()
