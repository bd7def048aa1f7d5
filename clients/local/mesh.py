"""The mesh on this machine: a Valkey server and the four services, as processes, from one state folder."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Self

from clients.local import environment, ops, public_keys
from clients.local.environment import SERVICES, Addresses, Redis
from clients.local.failures import PortTaken, StartFailed, explain
from clients.local.pki import Pki
from clients.local.ports import free_ports
from clients.local.processes import end, is_alive, send, spawn, started_at, wait_gone
from clients.local.sign_in import DEFAULT_SUBJECT, MAX_SECONDS, SignIn
from clients.local.state import MeshRecord, ProcessRecord, StateFolder
from clients.local.valkey import USERNAME, Valkey

VALKEY = "valkey"
_START_SECONDS = 60.0  # a cold start of the engine on a busy machine
_ATTEMPTS = 3
_POLL = 0.03
_BEYOND_DRAIN = 5.0  # seconds that a service has to end after its drain, before it is killed


class AlreadyUp(Exception):
    """Every process of this state folder is running."""


class LocalMesh:
    """One mesh. Several can run side by side, each with its own state folder.

    overrides: service -> environment variables for it alone, which win over ours.
    """

    def __init__(self, state: Path, overrides: Mapping[str, Mapping[str, str]] | None = None) -> None:
        self.state = StateFolder(state)
        self._overrides = {name: dict(values) for name, values in (overrides or {}).items()}
        self._record = self.state.read() or MeshRecord()
        self._valkey = Valkey(self.state, self._record.valkey_socket)
        self._children: dict[str, subprocess.Popen[bytes]] = {}

    # What callers need to know.

    @property
    def gateway_address(self) -> str:
        return self._process("gateway").address

    @property
    def ca_file(self) -> Path:
        return Pki(self.state.pki).ca

    @property
    def has_own_valkey(self) -> bool:
        """False with MAYFLY_REDIS_URL: then Redis is elsewhere, and others' keys are in it too."""
        return bool(self._valkey.socket)

    @property
    def valkey_client_url(self) -> str:
        """With purge's own credentials; for tests that look at what is left."""
        return self._valkey.url_with_credentials if self.has_own_valkey else os.environ["MAYFLY_REDIS_URL"]

    @property
    def processes(self) -> dict[str, ProcessRecord]:
        return dict(self._record.processes)

    def ops_address(self, service: str) -> str:
        return self._process(service).ops_address

    def pid(self, name: str) -> int:
        return self._process(name).pid

    def log_file(self, name: str) -> Path:
        """What the process writes to stderr."""
        return self.state.service_logs / f"{name}.log"

    def token(self, subject: str = DEFAULT_SUBJECT, seconds: int = MAX_SECONDS) -> str:
        return SignIn(self.state.pki).token(subject, seconds)

    def is_alive(self, name: str) -> bool:
        record = self._record.processes.get(name)
        return record is not None and is_alive(record)

    # Its life.

    def start(self, on_progress: Callable[[str], None] = lambda _: None) -> Self:
        """Starts everything and waits until all of it is ready.

        What an earlier launcher left behind half-dead is ended first. Raises AlreadyUp, or StartFailed with the
        failing service's own line; nothing runs then.
        """
        self.state.create()
        with self.state.locked():
            self._record = self.state.read() or MeshRecord()
            if self._record.processes and all(map(is_alive, self._record.processes.values())):
                raise AlreadyUp
            self._end_all()
            Pki(self.state.pki).ensure()
            SignIn(self.state.pki).ensure()
            for attempt in range(1, _ATTEMPTS + 1):
                try:
                    self._start_all(on_progress)
                    return self
                except PortTaken:
                    self._end_all()
                    if attempt == _ATTEMPTS:
                        raise
                except BaseException:
                    self._end_all()
                    raise
        raise AssertionError("unreachable")

    def stop(self) -> list[str]:
        """Ends what was started from this folder, last started first. Returns the names of those that were killed."""
        if not self.state.root.is_dir():
            return []
        with self.state.locked():
            self._record = self.state.read() or self._record
            return self._end_all()

    def kill(self, name: str, number: signal.Signals = signal.SIGKILL) -> None:
        """Signals one process; after SIGKILL it is gone when this returns."""
        record = self._process(name)
        send(record, number)
        if number == signal.SIGKILL:
            wait_gone(record, 5.0)
            self._reap(name)

    def restart(self, name: str) -> None:
        """Starts one process again where it was, and waits until it is ready. It is ended first if it runs."""
        record = self._process(name)
        end(record, self._patience(name))
        self._reap(name)
        self._launch(name, Addresses(record.address, record.ops_address))
        self._await_ready(name)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    # How.

    def _start_all(self, on_progress: Callable[[str], None]) -> None:
        self._record = MeshRecord()
        if not os.environ.get("MAYFLY_REDIS_URL"):
            on_progress(VALKEY)
            self._valkey = Valkey(self.state)
            self._valkey.prepare()
            self._record.valkey_socket = self._valkey.socket
            self._launch(VALKEY, Addresses("", ""))
            self._await_ready(VALKEY)
        ports = [f"127.0.0.1:{port}" for port in free_ports(2 * len(SERVICES))]
        places = {name: Addresses(ports.pop(), ports.pop()) for name in SERVICES}
        # All at once: each waits by itself for whom it needs, and importing is what takes the time.
        for name, place in places.items():
            self._launch(name, place, places)
        for name in SERVICES:
            on_progress(name)
            self._await_ready(name)
        public_keys.keep(self.state, self.ops_address("purge"))

    def _launch(self, name: str, place: Addresses, places: Mapping[str, Addresses] | None = None) -> None:
        if name == VALKEY:
            child = self._valkey.spawn()
        else:
            known = {
                other: Addresses(process.address, process.ops_address)
                for other, process in self._record.processes.items()
            }
            env = environment.build(
                name,
                state=self.state,
                addresses=known | {name: place} | dict(places or {}),
                redis=self._redis(),
                overrides=self._overrides.get(name, {}),
            )
            argv = [sys.executable, "-P", "-m", f"services.{name}"]
            child = spawn(argv, env=env, cwd=self.state.root, log=self.log_file(name))
        self._children[name] = child
        # A child that is gone already has no start time; it will be explained by who waits for it.
        started = started_at(child.pid) or ""
        self._record.processes[name] = ProcessRecord(child.pid, started, place.grpc, place.ops)
        self.state.write(self._record)

    def _redis(self) -> Redis:
        if not self._valkey.socket:
            return Redis()
        return Redis(self._valkey.url, USERNAME, self._valkey.password_file)

    def _await_ready(self, name: str) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while not self._is_ready(name):
            code = self._children[name].poll()
            if code is not None or time.monotonic() > deadline:
                raise self._explain(name, code)
            time.sleep(_POLL)

    def _is_ready(self, name: str) -> bool:
        return self._valkey.answers() if name == VALKEY else ops.readiness(self.ops_address(name)).ready

    def _explain(self, name: str, code: int | None) -> StartFailed:
        """A service waits for its peers; if one of those has died, that is the one to explain."""
        for other, child in self._children.items():
            died = child.poll()
            if died is not None:
                return explain(other, self.log_file(other), died)
        return explain(name, self.log_file(name), code)

    def _end_all(self) -> list[str]:
        killed = []
        for name, record in reversed(self._record.processes.items()):
            if not end(record, self._patience(name)):
                killed.append(name)
            self._reap(name)
        Valkey(self.state, self._record.valkey_socket).clean()
        self._record = MeshRecord()
        self.state.clear()
        return killed

    def _patience(self, name: str) -> float:
        settings = {**os.environ, **self._overrides.get(name, {})}
        try:
            drain = float(settings.get("MAYFLY_DRAIN_SECONDS", environment.DRAIN_SECONDS))
        except ValueError:
            drain = environment.DRAIN_SECONDS
        return drain + _BEYOND_DRAIN

    def _reap(self, name: str) -> None:
        child = self._children.pop(name, None)
        if child is not None:
            child.poll()

    def _process(self, name: str) -> ProcessRecord:
        try:
            return self._record.processes[name]
        except KeyError:
            raise StartFailed(f"{name} is not up; run `mayfly up`.") from None
