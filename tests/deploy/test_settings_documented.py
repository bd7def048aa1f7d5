"""docs/operations.md names every environment variable, with who reads it and its default, and none that isn't there."""

from __future__ import annotations

import re

import pytest

from tests.deploy.programs import ROOT
from tests.deploy.settings import Setting, settings

PAGE = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
COMPOSE = (ROOT / "deploy/compose/compose.yaml").read_text(encoding="utf-8")


@pytest.mark.parametrize("setting", settings(), ids=lambda setting: setting.name)
def test_a_setting_is_documented(setting: Setting) -> None:
    assert any(line.startswith(setting.row) for line in PAGE.splitlines()), f"docs/operations.md lacks: {setting.row}"


def test_no_setting_is_made_up() -> None:
    table = PAGE.partition("\n## Settings\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `(MAYFLY_\w+)` \|", table, re.MULTILINE)
    assert sorted(rows) == sorted(setting.name for setting in settings())


def test_what_the_compose_file_takes_is_documented() -> None:
    table = PAGE.partition("\n## With compose\n")[2].partition("\n## ")[0]
    rows = set(re.findall(r"^\| `(MAYFLY_\w+)` \| `(.*?)`", table, re.MULTILINE))
    assert rows == set(re.findall(r"\$\{(MAYFLY_\w+):-(.*?)\}", COMPOSE))
