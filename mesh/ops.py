"""The ops port: /metrics, /healthz (the process answers), /readyz (it can do its work), and what a service mounts.

On loopback in plain HTTP; elsewhere by mutual TLS (``mesh.ops_tls``), or as nobody should, and it says so.
"""

from __future__ import annotations

import asyncio
import io
import json
import socket
import socketserver
import ssl
import threading
from collections.abc import Callable, Iterable
from typing import Any, TextIO
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import ThreadingWSGIServer, make_wsgi_app

from mesh.errors import ConfigError
from mesh.health import Health
from mesh.log import error_at, get_logger
from mesh.ops_tls import MutualTls, may_see

_log = get_logger()
StartResponse = Callable[..., Any]
WsgiApp = Callable[[dict[str, Any], StartResponse], Iterable[bytes]]
CALLER = "mayfly.caller"
"""In a request's environ: the service that asks, by its certificate. Not there in plain HTTP."""


class _Quiet(WSGIRequestHandler):
    timeout = 30.0
    """Seconds for a request to come, and for each write: a reader that has stalled doesn't keep its thread for ever."""

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing: request lines are not on the log's allow-list."""

    def get_stderr(self) -> TextIO:
        """Where wsgiref would print a traceback, of an answer that could not be written for one."""
        return io.StringIO()


class _Server(ThreadingWSGIServer):
    tls: MutualTls | None = None

    def get_request(self) -> tuple[Any, Any]:
        connection, address = super().get_request()
        if self.tls is not None:
            connection = self.tls.server.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        return connection, address

    def server_bind(self) -> None:
        # As WSGIServer does, without its look-up of the host's name, for which some machines wait long.
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]
        self.setup_environ()

    def handle_error(self, request: object, client_address: object) -> None:
        """Says nothing: the traceback would name the client."""


class _Server6(_Server):
    address_family = socket.AF_INET6


class _Handler(_Quiet):
    def setup(self) -> None:
        """In the connection's own thread: a caller that doesn't go on with the handshake keeps nobody else waiting."""
        super().setup()
        if isinstance(self.connection, ssl.SSLSocket):
            self.connection.do_handshake()

    def get_environ(self) -> dict[str, Any]:
        environ = super().get_environ()
        if isinstance(self.connection, ssl.SSLSocket) and isinstance(self.server, _Server):
            environ[CALLER] = self.server.tls.peer(self.connection) if self.server.tls else ""
        return environ

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """For what is no request: no more than that. It would repeat what was asked."""
        super().send_error(code, "not a request")


class OpsServer:
    """A component. It runs in threads of its own, so that a busy event loop can still be seen to be busy.

    tls: only callers with a certificate of the mesh; None: plain HTTP, whoever asks.
    """

    def __init__(self, address: str, registry: CollectorRegistry, health: Health, tls: MutualTls | None = None) -> None:
        self._host, _, port = address.rpartition(":")
        self._port = int(port)
        self._health = health
        self._metrics: WsgiApp = make_wsgi_app(registry)
        self._mounts: dict[str, WsgiApp] = {}
        self._tls = tls
        self._server: WSGIServer | None = None

    @property
    def address(self) -> str:
        return f"{self._host}:{self._server.server_port if self._server else self._port}"

    def mount(self, prefix: str, app: WsgiApp) -> None:
        """Serves every path that begins with ``prefix`` ("/log/") by ``app``."""
        self._mounts[prefix] = app

    async def start(self) -> None:
        host = self._host.strip("[]")
        kind = _Server6 if ":" in host else _Server
        try:
            server = make_server(host, self._port, self._serve, server_class=kind, handler_class=_Handler)
        except OSError:
            message = f"MAYFLY_OPS_LISTEN: {self._host}:{self._port} can't be bound; is it in use?"
            raise ConfigError(message) from None
        server.tls = self._tls
        self._server = server
        threading.Thread(target=server.serve_forever, name="ops", daemon=True).start()

    async def stop(self) -> None:
        if self._server is not None:
            # It waits for the serving thread, and may not keep the event loop waiting.
            await asyncio.to_thread(self._server.shutdown)
            self._server.server_close()

    def _serve(self, environ: dict[str, Any], start: StartResponse) -> Iterable[bytes]:
        try:
            return self._answer(environ, start)
        except Exception as error:
            _log.error("ops_failed", error_type=type(error).__name__, error_at=error_at(error))
            return _text(start, "500 Internal Server Error", "internal error\n")

    def _answer(self, environ: dict[str, Any], start: StartResponse) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if self._tls is not None and not may_see(environ.get(CALLER, ""), path):
            return _text(start, "403 Forbidden", "not for you\n")
        if path == "/metrics":
            return self._metrics(environ, start)
        if path == "/healthz":
            return _text(start, "200 OK", "ok\n")
        if path == "/readyz":
            failing = self._health.failing()
            pages = {name: page() for name, page in self._health.pages.items()}
            return _json(start, "503 Service Unavailable" if failing else "200 OK", {"failing": failing} | pages)
        for prefix, app in self._mounts.items():
            if path.startswith(prefix):
                return app(environ, start)
        return _text(start, "404 Not Found", "not found\n")


def _text(start: StartResponse, status: str, body: str) -> Iterable[bytes]:
    start(status, [("Content-Type", "text/plain; charset=utf-8"), ("Cache-Control", "no-store")])
    return [body.encode()]


def _json(start: StartResponse, status: str, body: dict[str, Any]) -> Iterable[bytes]:
    start(status, [("Content-Type", "application/json"), ("Cache-Control", "no-store")])
    return [json.dumps(body).encode() + b"\n"]
