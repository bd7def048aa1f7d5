"""The committed dashboards are what their code builds."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from tests.deploy.panels import dashboards
from tests.deploy.programs import DEPLOY, run

BUILDERS = sorted((DEPLOY / "grafana").glob("*.py"))


@pytest.mark.parametrize("builder", BUILDERS, ids=lambda path: path.stem)
def test_a_dashboard_has_not_drifted(builder: Path) -> None:
    result = run(sys.executable, builder, "--check")
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize("builder", BUILDERS, ids=lambda path: path.stem)
def test_drift_is_found(builder: Path, tmp_path: Path) -> None:
    shutil.copy(builder, tmp_path)
    for file in dashboards():
        (tmp_path / file.name).write_text(file.read_text().replace("Now", "Then"))
    result = run(sys.executable, tmp_path / builder.name, "--check")
    assert result.returncode == 1
    assert "is not what" in result.stdout
