"""The browser in which pages are looked at."""

from __future__ import annotations

import importlib.util
from collections.abc import AsyncIterator

import pytest

from tests.browser.chromium import chromium
from tests.deploy.programs import program


@pytest.fixture(scope="session")
def chromium_path() -> str:
    """Skips with one line where Chromium, or what drives it, is not installed."""
    if importlib.util.find_spec("playwright") is None:
        pytest.skip("playwright is not installed (extra dev)")
    return program("chromium", "Debian: chromium")


@pytest.fixture
async def browser(chromium_path: str) -> AsyncIterator[object]:
    """A browser of the test's own: each test has an event loop of its own. It starts in about a second."""
    async with chromium(chromium_path) as started:
        yield started
