"""The keys that sign, those that have signed, and the change from one to the next without a stop.

``<log>/keys`` holds the list that is served: a key is in it before it signs anything, and stays for good.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

from mesh.clock import Clock
from mesh.errors import ConfigError, Unavailable
from mesh.log import get_logger
from mesh.transparency.errors import VerificationError
from mesh.transparency.key_list import KeyList
from mesh.transparency.note import Verifier
from services.purge.ledger import Ledger
from services.purge.log import Log
from services.purge.signing import SigningKeys, load_keys

KEYS = "keys"  # the side file
_log = get_logger()


def read_list(directory: Path, origin: str) -> KeyList:
    """The list that lies in a log's directory; an empty one in a new log. ConfigError if it is not this log's."""
    try:
        keys = KeyList.from_json((directory / KEYS).read_bytes())
    except FileNotFoundError:
        return KeyList(origin)
    except (OSError, VerificationError) as error:
        raise ConfigError(f"The list of keys {directory / KEYS} can't be read; restore it.") from error
    if keys.origin != origin:
        raise ConfigError(f"The list of keys {directory / KEYS} is of the log {keys.origin}, not of {origin}.")
    return keys


class KeyRing:
    """A component. keys: what signs now. list: what is published. A SIGHUP makes it look into the folder again."""

    def __init__(
        self,
        directory: Path,
        keys: KeyList,
        *,
        clock: Clock,
        create: bool = False,
        agent: Path | None = None,
        witnesses: Iterable[str] = (),
    ) -> None:
        """keys: as ``read_list`` found it. witnesses: vkeys that join the list.

        Raises ConfigError, also when a key is missing that has signed before: it is lost then, and making a new one
        would hide that.
        """
        self._directory = directory
        self._agent = agent
        self._clock = clock
        self._known = keys
        self.keys = load_keys(directory, origin=keys.origin, create=create and not keys.log, agent=agent)
        self.list = replace(keys, witnesses=tuple(dict.fromkeys([*keys.witnesses, *witnesses])))
        self.list = self._with(self.keys)
        self._changed: list[Callable[[KeyList], None]] = []
        self._task: asyncio.Task[None] | None = None
        self._ledger: Ledger | None = None

    @property
    def retired(self) -> tuple[Verifier, ...]:
        """Former keys of the log."""
        return self._known.verifiers

    def keep(self, log: Log) -> None:
        """Writes the list beside its log. Blocks. Raises ConfigError."""
        if self.list != self._known:
            try:
                log.write_side(KEYS, self.list.to_json())
            except OSError as error:
                raise ConfigError(f"The list of keys can't be written: {error.strerror}.") from error
            self._known = self.list

    def serve(self, ledger: Ledger, changed: Callable[[KeyList], None]) -> None:
        """Whose keys it changes, and who else is told."""
        self._ledger = ledger
        self._changed.append(changed)

    async def start(self) -> None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self._on_hangup)

    async def stop(self) -> None:
        asyncio.get_running_loop().remove_signal_handler(signal.SIGHUP)
        if self._task is not None:
            await asyncio.wait([self._task])

    async def reload(self) -> None:
        """Takes the folder's keys into use. Raises ConfigError or Unavailable, and the old ones go on."""
        assert self._ledger is not None
        log = self._ledger.log
        keys = await asyncio.to_thread(load_keys, self._directory, origin=self.list.origin, agent=self._agent)
        former, self.list = self.list, self._with(keys)
        try:
            await asyncio.to_thread(self.keep, log)
        except ConfigError:
            self.list = former
            raise
        for changed in self._changed:
            changed(self.list)
        if keys.receipts_key_id != self.keys.receipts_key_id:
            self._ledger.use(keys.receipts)
        former_keys, self.keys = self.keys, keys
        if keys.log_vkey != former_keys.log_vkey:
            await log.rotate(keys.log)

    def _with(self, keys: SigningKeys) -> KeyList:
        return self.list.signing(keys.receipts.public_key(), keys.log.key.public_key(), int(self._clock.wall()))

    def _on_hangup(self) -> None:
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._reload())

    async def _reload(self) -> None:
        try:
            await self.reload()
        except (ConfigError, Unavailable) as error:
            _log.error("keys_not_reloaded", error_type=type(error).__name__)
        else:
            _log.info("keys_reloaded", count=len(self.list.receipts) + len(self.list.log))
