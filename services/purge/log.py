"""The append-only log: durable at once, under a signed checkpoint within a second.

``append`` returns when the entry is synced to the journal. Integration then moves entries into tiles and signs a
checkpoint over them. Tiles are only ever made from durable entries, in their order, so whatever a crash interrupts is
repeated with the same result and no two signed checkpoints can disagree.

Belongs to one event loop; reads (``entry``, ``iterate``, ``prove``) may also come from other threads.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from mesh.clock import Clock
from mesh.errors import ConfigError, Unavailable
from mesh.transparency.checkpoint import Checkpoint
from mesh.transparency.merkle import consistency_proof, inclusion_proof
from mesh.transparency.note import Signer, Verifier
from mesh.transparency.tiles import CHECKPOINT_PATH, COSIGNED_PATH, WIDTH, File, TileTree, read_entries
from services.purge.log_commit import Batch, GroupCommit
from services.purge.log_state import State, publish, recover, tidy
from services.purge.log_store import Fs, LogStore, OsFs

SNAPSHOT = "open"  # the side file of whoever keeps account of the entries


@dataclass(frozen=True, slots=True)
class Proof:
    """An inclusion proof (leaf upwards) and the signed checkpoint that it leads to."""

    index: int
    hashes: tuple[bytes, ...]
    checkpoint: bytes


class Accountant(Protocol):
    """Whoever keeps account of what the entries say, and of it a snapshot beside the log, for a start without them."""

    def durable(self, first: int, entries: Sequence[bytes], facts: Sequence[object]) -> None:
        """These are durable now, from index ``first`` on. Called on the loop, in the log's order."""

    def snapshot(self, *, final: bool) -> Callable[[], bytes] | None:
        """If a new snapshot is due (``final``: worth it at all): what makes it, in another thread."""


class Log:
    """See the module. ``accountant`` may be set before the first append.

    ``appended`` and ``integrated`` count entries since start, ``integration_failures`` attempts that will be made
    again. ``sync_seconds`` are called with the duration of each group commit, ``published`` after each checkpoint.
    """

    def __init__(self, store: LogStore, state: State, signer: Signer, clock: Clock, interval: float) -> None:
        """Use ``open``."""
        self.appended = 0
        self.integrated = 0
        self.integration_failures = 0
        self.snapshot_failures = 0
        self.accountant: Accountant | None = None
        self.published: list[Callable[[], None]] = []
        self._store = store
        self._state = state
        self._signer = signer
        self._clock = clock
        self._interval = interval
        self._commits = GroupCommit(store.journal, clock, self._on_durable)
        self.sync_seconds = self._commits.sync_seconds
        self._next_integration = clock.monotonic()
        self._behind_since = clock.monotonic()
        self._cosigned: tuple[int, bytes] | None = None
        self._tidied = state.edge.size
        self._closed = False
        self._integrating: asyncio.Task[None] | None = None
        self._following: asyncio.Task[None] | None = None
        self._waiters: list[tuple[int, asyncio.Future[None]]] = []
        self._tile_thread = ThreadPoolExecutor(1, "log-tiles")
        self._side_thread = ThreadPoolExecutor(1, "log-side")
        self._snapping: asyncio.Task[None] | None = None

    @classmethod
    def open(
        cls,
        directory: Path,
        *,
        origin: str,
        signer: Signer,
        clock: Clock,
        interval: float = 0.5,
        fs: Fs | None = None,
        retired: Sequence[Verifier] = (),
    ) -> Log:
        """Take the log's lock, recover, and publish a checkpoint over all that is durable. Blocks; needs no loop.

        origin:    the log's identity and the signer's name; a second log needs another origin.
        interval:  seconds between two integrations under load.
        retired:   former keys of this log: one of them may have signed the checkpoint that is found.
        Raises ConfigError: a second writer, another log's directory, damage that a crash can't explain, a full disk.
        """
        if signer.name != origin:
            raise ConfigError("The log's signing key must be named like the log's origin.")
        store = LogStore(directory, fs or OsFs())
        try:
            state = recover(store, signer, retired, clock)
        except Unavailable as error:
            store.close()
            raise ConfigError(f"The log in {directory} can't sign its checkpoint: {error.message}") from error
        except OSError as error:
            store.close()
            raise ConfigError(f"The log in {directory} can't be recovered: {error.strerror}.") from error
        except BaseException:
            store.close()
            raise
        return cls(store, state, signer, clock, interval)

    @property
    def size(self) -> int:
        """Durable entries."""
        return self._state.edge.size + len(self._state.pending)

    @property
    def integrated_size(self) -> int:
        """Entries under the newest checkpoint."""
        return self._state.edge.size

    @property
    def lag_seconds(self) -> float:
        """How long, at most, the oldest durable entry has been waiting for a checkpoint over it; 0 if none waits."""
        return self._clock.monotonic() - self._behind_since if self._state.pending else 0.0

    @property
    def checkpoint(self) -> bytes:
        """The newest checkpoint, a signed note."""
        return self._state.checkpoint

    @property
    def head(self) -> tuple[bytes, int]:
        """The newest checkpoint and how many entries are under it, of one moment."""
        state = self._state
        return state.checkpoint, state.edge.size

    @property
    def signed(self) -> tuple[bytes, float | None]:
        """The newest checkpoint, and when it was signed, Unix seconds; None where that was before this process."""
        state = self._state
        return state.checkpoint, state.signed

    @property
    def cosigned_size(self) -> int:
        """Entries under the newest checkpoint that a witness has cosigned in this run."""
        return self._cosigned[0] if self._cosigned is not None else 0

    @property
    def public_directory(self) -> Path:
        """What may be served as static files."""
        return self._store.public.directory

    async def append(self, entry: bytes, fact: object = None) -> int:
        """Make ``entry`` durable; returns its index. Callers that arrive during a sync share the next one.

        fact:  what the accountant is told of it, once it is durable.
        A caller that is cancelled may leave its entry in the log, and disturbs no other.
        Raises ValueError beyond 65,535 bytes; Unavailable when the disk fails, the backlog is full, or after close.
        """
        return await self._enqueue([bytes(entry)], () if fact is None else (fact,))

    async def append_many(self, entries: Sequence[bytes], facts: Sequence[object] = ()) -> int:
        """Make all of them durable, one after the other in the log; returns the first one's index. Else as ``append``.

        Either all are in the log or, if this raises, none of them is acknowledged.
        """
        if not entries:
            return self.size
        return await self._enqueue(list(entries), facts)

    async def _enqueue(self, entries: list[bytes], facts: Sequence[object]) -> int:
        if self._closed:
            raise Unavailable("LOG_CLOSED", "The receipt log was closed.")
        return await self._commits.add(entries, facts)

    def entry(self, index: int) -> bytes:
        """The durable entry at ``index``. Raises IndexError."""
        state = self._state
        if not 0 <= index < state.edge.size + len(state.pending):
            raise IndexError(f"no log entry {index}")
        if index >= state.edge.size:
            return state.pending[index - state.edge.size]
        bundle, offset = divmod(index, WIDTH)
        return self._bundle(state, bundle)[offset]

    def iterate(self, start: int = 0) -> Iterator[bytes]:
        """The entries from ``start`` on that are durable now, reading one bundle at a time."""
        state = self._state
        pending = state.pending[:]
        for bundle in range(start // WIDTH, -(-state.edge.size // WIDTH)):
            yield from self._bundle(state, bundle)[max(0, start - bundle * WIDTH) :]
        yield from pending[max(0, start - state.edge.size) :]

    def prove(self, index: int) -> Proof:
        """Inclusion of entry ``index``: under the newest checkpoint that witnesses have cosigned, if it is under that,
        else under the newest one. Raises IndexError beyond that."""
        state, cosigned = self._state, self._cosigned
        if not 0 <= index < state.edge.size:
            raise IndexError(f"log entry {index} is not under a checkpoint")
        covered = cosigned is not None and index < cosigned[0]
        size, checkpoint = cosigned if cosigned is not None and covered else (state.edge.size, state.checkpoint)
        tree = TileTree(self._store.public.reader, size)
        return Proof(index, tuple(inclusion_proof(index, size, tree.node)), checkpoint)

    def inclusion_proof(self, index: int) -> list[bytes]:
        """``prove(index)`` without the checkpoint. Raises IndexError."""
        return list(self.prove(index).hashes)

    def consistency_proof(self, old: int, size: int | None = None) -> list[bytes]:
        """That the tree of ``size`` leaves (or the newest checkpoint's) extends that of ``old``. Raises ValueError."""
        size = self._state.edge.size if size is None else size
        return consistency_proof(old, size, TileTree(self._store.public.reader, size).node)

    async def wait_integrated(self, index: int) -> None:
        """Until the newest checkpoint covers ``index``. Raises IndexError for an entry that isn't durable, Unavailable
        when an integration failed (it will be tried again) or the log closed."""
        if not 0 <= index < self.size:
            raise IndexError(f"no log entry {index}")
        if index >= self.integrated_size:
            if self._closed:
                raise Unavailable("LOG_CLOSED", "The receipt log was closed.")
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiters.append((index, future))
            self._follow()
            await future

    async def integrate(self) -> None:
        """Publish, now, a checkpoint over all that is durable now. Raises Unavailable when the disk fails."""
        target = self.size
        while self.integrated_size < target:
            if self._integrating is None:
                self._integrating = asyncio.create_task(self._integrate())
                self._integrating.add_done_callback(_observed)
            await asyncio.shield(self._integrating)

    async def rotate(self, signer: Signer) -> None:
        """Sign with another key from now on, at once. The origin stays. Raises Unavailable: nothing has changed then,
        or the new key signs the next checkpoint."""
        if signer.name != self._signer.name:
            raise ConfigError("The log's signing key must be named like the log's origin.")
        while self._integrating is not None:
            await asyncio.wait([self._integrating])
        self._signer = signer
        self._integrating = asyncio.create_task(self._integrate())
        self._integrating.add_done_callback(_observed)
        await asyncio.shield(self._integrating)

    async def cosign(self, checkpoint: bytes, lines: bytes) -> None:
        """Publish ``checkpoint`` (as ``head`` gave it) with the signature lines of witnesses below its own.

        It takes the place of the newest checkpoint if it still is that, and is kept apart from it until a newer one has
        cosignatures. Raises Unavailable when the disk fails.
        """
        size = Checkpoint.parse(checkpoint.decode().partition("\n\n")[0] + "\n").size
        cosigned = checkpoint + lines
        try:
            await asyncio.get_running_loop().run_in_executor(
                self._tile_thread, self._publish_cosigned, checkpoint, cosigned
            )
        except OSError as error:
            raise Unavailable("LOG_DISK", "The receipt log's disk refused a write; check it.") from error
        if self._cosigned is None or size >= self._cosigned[0]:
            self._cosigned = size, cosigned

    def _publish_cosigned(self, checkpoint: bytes, cosigned: bytes) -> None:
        """In the thread that publishes checkpoints, so that none of them is overwritten by an older one."""
        public = self._store.public
        public.replace(File(COSIGNED_PATH, cosigned))
        newest = public.checkpoint()
        if newest is not None and newest.startswith(checkpoint):
            public.replace(File(CHECKPOINT_PATH, cosigned))

    def read_side(self, name: str) -> bytes | None:
        """A file that is kept beside the log; None if there is none."""
        return self._store.read_side(name)

    def write_side(self, name: str, data: bytes) -> None:
        """Replaces it, durably. Blocks; one thread per name. Raises OSError."""
        self._store.write_side(name, data)

    async def close(self) -> None:
        """Finish what was appended, integrate, let go of the lock. Entries that can't be integrated stay durable."""
        if self._closed:
            return
        self._closed = True
        if self._following is not None:
            self._following.cancel()
        await self._commits.close()
        try:
            await self.integrate()
            if self._integrating is not None:
                await asyncio.wait([self._integrating])
        except Unavailable:
            self.integration_failures += 1
        finally:
            self._wake(Unavailable("LOG_CLOSED", "The receipt log was closed."))
            if self._snapping is not None:
                await asyncio.wait([self._snapping])
            await self._snapshot(final=True)
            for thread in (self._tile_thread, self._side_thread):
                thread.shutdown()
            self._store.close()

    def _on_durable(self, first: int, batches: Sequence[Batch]) -> None:
        """A group commit is on the disk."""
        if not self._state.pending:
            self._behind_since = self._clock.monotonic()
        for batch in batches:
            self._state.pending.extend(batch.entries)
            self.appended += len(batch.entries)
            if self.accountant is not None:
                self.accountant.durable(first, batch.entries, batch.facts)
            first += len(batch.entries)
        self._follow()

    async def _snapshot(self, *, final: bool = False) -> None:
        """A snapshot that can't be written is missing at the next start, which then takes longer: no more than that."""
        make = self.accountant.snapshot(final=final) if self.accountant is not None else None
        if make is None:
            return

        def write() -> None:
            self._store.write_side(SNAPSHOT, make())

        try:
            await asyncio.get_running_loop().run_in_executor(self._side_thread, write)
        except OSError:
            self.snapshot_failures += 1

    def _follow(self) -> None:
        if self._following is None and not self._closed:
            self._following = asyncio.create_task(self._keep_up())

    async def _keep_up(self) -> None:
        """Integrate while there is something to, at once after a pause and else once an interval."""
        try:
            while self._state.pending:
                wait = self._next_integration - self._clock.monotonic()
                if wait > 0:
                    await self._clock.sleep(wait)
                self._next_integration = self._clock.monotonic() + self._interval
                try:
                    await self.integrate()
                except Unavailable as error:
                    self.integration_failures += 1
                    self._wake(error)
        finally:
            self._following = None

    async def _integrate(self) -> None:
        state, loop = self._state, asyncio.get_running_loop()
        entries, began = state.pending[:], self._clock.monotonic()
        try:
            edge, checkpoint, signed = await loop.run_in_executor(
                self._tile_thread, publish, self._store, state.edge, entries, self._signer, self._clock
            )
            self._state = State(edge, checkpoint, signed, state.pending[len(entries) :])
            self._behind_since = began  # what is left came later than that
            self._commits.backlog -= sum(map(len, entries))
            self.integrated += len(entries)
            self._wake()
            await loop.run_in_executor(self._tile_thread, tidy, self._store, self._tidied, edge.size)
            self._tidied = edge.size
            for callback in self.published:
                callback()
            if self._snapping is None or self._snapping.done():
                self._snapping = asyncio.create_task(self._snapshot())
        except OSError as error:
            raise Unavailable("LOG_DISK", "The receipt log's disk refused a write; check it.") from error
        finally:
            self._integrating = None

    def _wake(self, error: Unavailable | None = None) -> None:
        waiters, self._waiters = self._waiters, []
        for index, future in waiters:
            if future.done():
                continue
            if index < self.integrated_size:
                future.set_result(None)
            elif error is not None:
                future.set_exception(error)
            else:
                self._waiters.append((index, future))

    def _bundle(self, state: State, bundle: int) -> tuple[bytes, ...] | list[bytes]:
        if bundle == state.edge.size // WIDTH:
            return state.edge.tail
        return read_entries(self._store.public.reader, bundle, WIDTH)


def _observed(task: asyncio.Task[None]) -> None:
    """Each waiter got the error through its shield; with no waiter left, asyncio should not complain about it."""
    if not task.cancelled():
        task.exception()
