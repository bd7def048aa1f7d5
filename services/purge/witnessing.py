"""Getting the log's checkpoints cosigned: off everybody's way, and never waited for."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from mesh.clock import Clock
from mesh.errors import ConfigError, Unavailable
from mesh.log import get_logger
from mesh.tasks import Tasks
from mesh.transparency.errors import VerificationError
from mesh.transparency.note import Verifier
from mesh.transparency.witness import Witness
from services.purge.log import Log
from services.purge.waiting import first_of

AGAIN = 10.0  # seconds after which a checkpoint that not all have cosigned is shown to them again
PAUSE = 1.0  # seconds from one round to the next, at least
ANSWERS = ("cosigned", "away", "refused")
_log = get_logger()


def read_witnesses(path: Path | None) -> list[Witness]:
    """A file with a witness on each line: its vkey and its URL. ``#`` begins a comment. Raises ConfigError."""
    if path is None:
        return []
    try:
        lines = [line.partition("#")[0].split() for line in path.read_text("utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"The list of witnesses {path} can't be read.") from error
    found = []
    for number, line in enumerate(lines, 1):
        if not line:
            continue
        try:
            vkey, url = line
            found.append(Witness(Verifier.parse(vkey), url))
        except (ValueError, VerificationError) as error:
            raise ConfigError(f"{path}, line {number}: a witness is its cosignature/v1 vkey and its URL.") from error
    return found


class Witnessing:
    """A component. answers: how often witnesses have cosigned, were away, or refused; the last means a fork, or a
    witness that was not told of the log."""

    def __init__(self, log: Log, witnesses: Sequence[Witness], clock: Clock) -> None:
        self.answers: Counter[str] = Counter()
        self._log = log
        self._witnesses = witnesses
        self._clock = clock
        self._tasks = Tasks()
        self._news = asyncio.Event()

    def results(self) -> Mapping[str, float]:
        """For the metric: each kind of answer, also those that never came."""
        return {result: self.answers[result] for result in ANSWERS}

    async def start(self) -> None:
        if self._witnesses:
            self._news.set()
            self._log.published.append(self._news.set)
            self._tasks.spawn(self._go_on())

    async def stop(self) -> None:
        await self._tasks.cancel()

    async def _go_on(self) -> None:
        while True:
            await self._news.wait()
            self._news.clear()
            if not await self.round():
                await first_of(self._news.wait(), self._clock.sleep(AGAIN))
                self._news.set()
            await self._clock.sleep(PAUSE)

    async def round(self) -> bool:
        """Shows the newest checkpoint to all witnesses at once; publishes each cosignature when it comes.

        Returns whether all have cosigned it.
        """
        checkpoint, size = self._log.head
        lines: list[bytes] = []

        async def ask(witness: Witness) -> None:
            try:
                line = await asyncio.to_thread(
                    witness.cosign, checkpoint, size, lambda old: self._log.consistency_proof(old, size)
                )
            except (OSError, ValueError, VerificationError):
                _log.error("not_cosigned", reason="LOG_DISK")  # no proof could be read
                return
            except Unavailable as error:
                refused = error.reason == "WITNESS_REFUSED"
                self.answers["refused" if refused else "away"] += 1
                (_log.error if refused else _log.warning)("not_cosigned", reason=error.reason)
                return
            self.answers["cosigned"] += 1
            lines.append(line)
            try:
                await self._log.cosign(checkpoint, b"".join(lines))
            except Unavailable as error:
                _log.error("not_cosigned", reason=error.reason)

        await asyncio.gather(*map(ask, self._witnesses))
        return len(lines) == len(self._witnesses)
