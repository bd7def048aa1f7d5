"""The browser itself: it draws, it sees what a page does, and it tells when a page asks somebody else."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.browser.chromium import visit

PAGE = b"""<!doctype html><title>t</title><link rel=icon href=data:,>
<h1>Plain</h1><script>document.querySelector('h1').textContent = 'Live'; fetch('http://localhost:1/').catch(() => 0);
console.error('complaint')</script>"""


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(PAGE)

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


@pytest.fixture
def url() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


async def test_it_sees_what_a_page_does(browser, url: str) -> None:
    seen = await visit(browser, url)
    assert await seen.page.inner_text("h1") == "Live"
    assert seen.strangers() == ["http://localhost:1/"]
    assert "complaint" in seen.complaints

    quiet = await visit(browser, url, javascript=False)
    assert await quiet.page.inner_text("h1") == "Plain"
    assert (quiet.strangers(), quiet.complaints) == ([], [])
