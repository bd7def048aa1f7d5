"""A real Chromium, Debian's own, driven by Playwright: it fetches nothing and speaks to loopback only."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from playwright.async_api import Browser, ConsoleMessage, Page, Request, Response

# No sandbox of its own, since tests run as root in containers; nothing that calls home by itself.
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PHONE = 390  # CSS pixels
DESKTOP = 1280


@asynccontextmanager
async def chromium(executable: str) -> AsyncIterator[Browser]:
    """One browser. Asynchronous, because Playwright's other face runs a loop of its own in this thread."""
    from playwright.async_api import async_playwright

    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=executable, headless=True, args=list(ARGUMENTS))
        try:
            yield browser
        finally:
            await browser.close()


@dataclass
class Visit:
    """A page in a tab of its own, and what it did: requests in order, answers, complaints (console, errors)."""

    page: Page
    requests: list[str] = field(default_factory=list)
    answers: list[Response] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def strangers(self) -> list[str]:
        """Requests that went to another origin than the page's."""
        home = urlsplit(self.page.url)[:2]
        return [url for url in self.requests if urlsplit(url)[:2] != home and not url.startswith("data:")]

    def _watch(self) -> None:
        self.page.on("request", self._asked)
        self.page.on("response", self._answered)
        self.page.on("console", self._said)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _asked(self, request: Request) -> None:
        self.requests.append(request.url)

    def _answered(self, response: Response) -> None:
        self.answers.append(response)

    def _said(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)


async def visit(
    browser: Browser,
    url: str,
    *,
    width: int = DESKTOP,
    height: int = 900,
    dark: bool = False,
    javascript: bool = True,
) -> Visit:
    """Opens ``url`` in a fresh profile. width, height: CSS pixels. dark: what the reader's system prefers."""
    context = await browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme="dark" if dark else "light",
        java_script_enabled=javascript,
        reduced_motion="reduce",
    )
    visited = Visit(await context.new_page())
    visited._watch()
    # Not "networkidle": a page that is updated live is never idle.
    await visited.page.goto(url, wait_until="load")
    return visited
