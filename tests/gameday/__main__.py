"""``make gameday``: three runbooks, walked for real on a mesh of its own. docs/game-day.md."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from pathlib import Path

import pytest

os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # gRPC reads it when it is imported, and would talk into the report

from tests.gameday.day import game_day


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="mayfly-gameday-") as folder:
        try:
            asyncio.run(game_day(Path(folder), lambda line: print(line, flush=True)))  # noqa: T201 - its report
        except pytest.skip.Exception as missing:
            print(f"gameday: {missing}", file=sys.stderr)  # noqa: T201
            return 5
        except AssertionError as failure:
            print(f"gameday: {failure}", file=sys.stderr)  # noqa: T201
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
