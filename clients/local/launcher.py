"""Starting, watching and ending the processes of one mesh. What was started is written down before anything else."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping

from clients.local import environment, ops
from clients.local.environment import Addresses, Redis
from clients.local.failures import StartFailed, explain
from clients.local.processes import Child, end, spawn, started_at
from clients.local.state import MeshRecord, ProcessRecord, StateFolder
from clients.local.valkey import USERNAME, Valkey

VALKEY = "valkey"
_START_SECONDS = 180.0  # a cold start of an engine on a busy machine: a diffusion model is seconds of code alone
_POLL = 0.03
_BEYOND_DRAIN = 5.0  # seconds that a service has to end after its drain, before it is killed


class Launcher:
    """record: what runs, or should; the same as in mesh.json."""

    def __init__(
        self,
        state: StateFolder,
        overrides: Mapping[str, Mapping[str, str]],
        modules: Mapping[str, str],
        kept: str = "allowed",
    ) -> None:
        self._kept = kept
        self._state = state
        self._modules = modules
        self._overrides = overrides
        self._children: dict[str, Child] = {}
        self.record = state.read() or MeshRecord()
        self.valkey = Valkey(state, self.record.valkey_socket)

    @property
    def redis_elsewhere(self) -> str:
        """The URL of a Redis that is not ours; empty when purge is to have an embedded Valkey."""
        return self._overrides.get("purge", {}).get("MAYFLY_REDIS_URL") or os.environ.get("MAYFLY_REDIS_URL", "")

    def reload(self) -> None:
        """Somebody else may have started or stopped it since."""
        self.record = self._state.read() or MeshRecord()
        self.valkey = Valkey(self._state, self.record.valkey_socket)

    def prepare_valkey(self) -> None:
        """A new server, with a password of its own."""
        self.valkey = Valkey(self._state)
        self.valkey.prepare()
        self.record.valkey_socket = self.valkey.socket

    def launch(self, name: str, places: Mapping[str, Addresses]) -> None:
        """Starts one process. places: where every service listens, this one included."""
        child = self.valkey.spawn() if name == VALKEY else self._spawn_service(name, places)
        self._children[name] = child
        place = places.get(name, Addresses("", ""))
        # A child that is gone already has no start time; whoever waits for it explains it.
        self.record.processes[name] = ProcessRecord(child.pid, started_at(child.pid) or "", place.grpc, place.ops)
        self._state.write(self.record)

    def await_ready(self, name: str) -> None:
        """Raises StartFailed, with the line of whoever is to blame."""
        deadline = time.monotonic() + _START_SECONDS
        while not self._is_ready(name):
            code = self._children[name].poll()
            if code is not None or time.monotonic() > deadline:
                raise self._explain(name, code)
            time.sleep(_POLL)

    def end(self, name: str) -> bool:
        """SIGTERM, and SIGKILL once its drain is long over. True if it ended by itself."""
        gently = end(self.record.processes[name], self._patience(name))
        self.reap(name)
        return gently

    def end_all(self) -> list[str]:
        """Everything, last started first; then nothing is written down any more. Returns who had to be killed."""
        killed = [name for name in reversed(self.record.processes) if not self.end(name)]
        Valkey(self._state, self.record.valkey_socket).clean()
        self.record = MeshRecord()
        self._state.clear()
        return killed

    def reap(self, name: str) -> None:
        """Lets the kernel forget a child that is gone."""
        child = self._children.pop(name, None)
        if child is not None:
            child.poll()

    def _spawn_service(self, name: str, places: Mapping[str, Addresses]) -> Child:
        own = bool(self.valkey.socket)
        env = environment.build(
            name,
            state=self._state,
            addresses=places,
            redis=Redis(self.valkey.url, USERNAME, self.valkey.password_file) if own else Redis(),
            overrides=self._overrides_of(name),
        )
        # -P: a folder called "mesh" where the person stands must not be imported instead of ours.
        service = environment.service_of(name)
        argv = [sys.executable, "-P", "-m", self._modules.get(service, f"services.{service}")]
        log = self._state.service_logs / f"{name}.log"
        return spawn(argv, env=env, cwd=self._state.root, log=log, kept=self._kept)

    def _overrides_of(self, name: str) -> Mapping[str, str]:
        """A replica has its service's, and its own."""
        return {**self._overrides.get(environment.service_of(name), {}), **self._overrides.get(name, {})}

    def _is_ready(self, name: str) -> bool:
        if name == VALKEY:
            return self.valkey.answers()
        return ops.readiness(self.record.processes[name].ops_address).ready

    def _explain(self, name: str, code: int | None) -> StartFailed:
        """A service waits for its peers; if one of those has died, that is the one to explain."""
        for other, child in self._children.items():
            died = child.poll()
            if died is not None:
                name, code = other, died
                child.has_been_heard()
                break
        return explain(name, self._state.service_logs / f"{name}.log", code)

    def _patience(self, name: str) -> float:
        settings = {**os.environ, **self._overrides_of(name)}
        try:
            drain = float(settings.get("MAYFLY_DRAIN_SECONDS", environment.DRAIN_SECONDS))
        except ValueError:
            drain = environment.DRAIN_SECONDS
        return drain + _BEYOND_DRAIN
