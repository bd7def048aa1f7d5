"""The mesh on this machine: a Valkey server and the four services, as processes, from one state folder."""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Self

from clients.local import public_keys, shards
from clients.local.environment import Addresses, is_purge, processes
from clients.local.failures import PortTaken, StartFailed
from clients.local.launcher import VALKEY, Launcher
from clients.local.pki import Pki
from clients.local.ports import free_ports
from clients.local.processes import is_alive, send, wait_gone
from clients.local.sign_in import DEFAULT_SUBJECT, MAX_SECONDS, SignIn
from clients.local.state import ProcessRecord, StateFolder
from clients.local.valkey import Valkey

_ATTEMPTS = 3
_KILL_SECONDS = 5.0


class AlreadyUp(Exception):
    """Every process of this state folder is running."""


class LocalMesh:
    """One mesh. Several can run side by side, each with its own state folder.

    overrides: service -> environment variables for it alone, which win over ours. purges: replicas of purge, which are
    called "purge", "purge-1", … modules: service -> the module that is run instead of it (tests). kept: what the log
    files have of the services' output, see ``log_keeper``; all of it is for tests, too.
    """

    def __init__(
        self,
        state: Path,
        overrides: Mapping[str, Mapping[str, str]] | None = None,
        *,
        purges: int = 1,
        modules: Mapping[str, str] | None = None,
        kept: str = "allowed",
    ) -> None:
        self.state = StateFolder(state)
        self._names = processes(purges)
        self._launcher = Launcher(self.state, overrides or {}, modules or {}, kept)

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
        return bool(self._launcher.valkey.socket)

    @property
    def valkey_client_url(self) -> str:
        """With purge's own credentials; for those who look at what is left."""
        return self._launcher.valkey.url_with_credentials if self.has_own_valkey else self._launcher.redis_elsewhere

    @property
    def valkey(self) -> Valkey | None:
        """Our own server; None when Redis is elsewhere."""
        return self._launcher.valkey if self.has_own_valkey else None

    @property
    def processes(self) -> dict[str, ProcessRecord]:
        return dict(self._launcher.record.processes)

    @property
    def purges(self) -> list[str]:
        """The names of purge's replicas."""
        return [name for name in self.processes if is_purge(name)]

    def ops_address(self, name: str) -> str:
        return self._process(name).ops_address

    def pid(self, name: str) -> int:
        return self._process(name).pid

    def is_alive(self, name: str) -> bool:
        record = self.processes.get(name)
        return record is not None and is_alive(record)

    def log_file(self, name: str) -> Path:
        """What the process writes to stderr."""
        return self.state.service_logs / f"{name}.log"

    def token(self, subject: str = DEFAULT_SUBJECT, seconds: int = MAX_SECONDS) -> str:
        return SignIn(self.state.pki).token(subject, seconds)

    # Its life.

    def start(self, on_progress: Callable[[str], None] = lambda _: None) -> Self:
        """Starts everything and waits until all of it is ready.

        What an earlier launcher left behind half-dead is ended first. Raises AlreadyUp, or StartFailed with the
        failing service's own line; nothing runs then.
        """
        self.state.create()
        with self.state.locked():
            self._launcher.reload()
            if self.processes and all(map(is_alive, self.processes.values())):
                raise AlreadyUp
            self._launcher.end_all()
            Pki(self.state.pki).ensure()
            SignIn(self.state.pki).ensure()
            self._start_until_ports_are_free(on_progress)
        return self

    def stop(self) -> list[str]:
        """Ends what was started from this folder, last started first. Returns the names of those that were killed."""
        if not self.state.root.is_dir():
            return []
        with self.state.locked():
            # Its own record may be newer than none at all: the folder's file can have been removed.
            if self.state.read() is not None:
                self._launcher.reload()
            return self._launcher.end_all()

    def kill(self, name: str, number: signal.Signals = signal.SIGKILL) -> None:
        """Signals one process; after SIGKILL it is gone when this returns."""
        record = self._process(name)
        send(record, number)
        if number == signal.SIGKILL:
            wait_gone(record, _KILL_SECONDS)
            self._launcher.reap(name)

    def restart(self, name: str) -> None:
        """Starts one process again where it was, and waits until it is ready. It is ended first if it runs."""
        self._process(name)
        self._launcher.end(name)
        places = {other: Addresses(process.address, process.ops_address) for other, process in self.processes.items()}
        self._launcher.launch(name, places)
        self._launcher.await_ready(name)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    # How.

    def _start_until_ports_are_free(self, on_progress: Callable[[str], None]) -> None:
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                self._start_all(on_progress)
                return
            except PortTaken:
                self._launcher.end_all()
                if attempt == _ATTEMPTS:
                    raise
            except BaseException:
                self._launcher.end_all()
                raise

    def _start_all(self, on_progress: Callable[[str], None]) -> None:
        if not self._launcher.redis_elsewhere:
            on_progress(VALKEY)
            self._launcher.prepare_valkey()
            self._launcher.launch(VALKEY, {})
            self._launcher.await_ready(VALKEY)
        ports = [f"127.0.0.1:{port}" for port in free_ports(2 * len(self._names))]
        places = {name: Addresses(ports.pop(), ports.pop()) for name in self._names}
        shards.prepare(self.state, places)
        # All at once: each waits by itself for whom it needs, and importing is what takes the time.
        for name in self._names:
            self._launcher.launch(name, places)
        for name in self._names:
            on_progress(name)
            self._launcher.await_ready(name)
        for name in self.purges:
            public_keys.keep(self.state, name, self.ops_address(name))

    def _process(self, name: str) -> ProcessRecord:
        try:
            return self.processes[name]
        except KeyError:
            raise StartFailed(f"{name} is not up; run `mayfly up`.") from None
