"""The append-only log: durable at once, under a signed checkpoint within a second.

``append`` returns when the entry is synced to the journal. Integration then moves entries into tiles and signs a
checkpoint over them. Tiles are only ever made from durable entries, in their order, so whatever a crash interrupts is
repeated with the same result and no two signed checkpoints can disagree.

Belongs to one event loop; reads (``entry``, ``iterate``, ``prove``) may also come from other threads.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from mesh.clock import Clock
from mesh.errors import ConfigError, Unavailable
from mesh.transparency.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint
from mesh.transparency.edge import Edge
from mesh.transparency.errors import VerificationError
from mesh.transparency.merkle import consistency_proof, inclusion_proof
from mesh.transparency.note import Signer
from mesh.transparency.tiles import MAX_ENTRY, WIDTH, TileTree, read_entries
from services.purge.log_store import Fs, LogStore, OsFs

MAX_BATCH = 1024  # entries a sync
MAX_BACKLOG = 64 << 20  # bytes that may wait for integration; beyond them no grant is logged, so none is given


@dataclass(frozen=True, slots=True)
class _State:
    """What is readable at one moment. pending: durable entries from index edge.size on; only ever appended to."""

    edge: Edge
    checkpoint: bytes
    pending: list[bytes]


@dataclass(frozen=True, slots=True)
class Proof:
    """An inclusion proof (leaf upwards) and the signed checkpoint that it leads to."""

    index: int
    hashes: tuple[bytes, ...]
    checkpoint: bytes


class Log:
    """See the module. ``appended`` and ``integrated`` count entries since start; ``sync_seconds`` are called back
    with the duration of each group commit; ``integration_failures`` counts attempts that will be made again."""

    def __init__(self, store: LogStore, state: _State, signer: Signer, clock: Clock, interval: float) -> None:
        """Use ``open``."""
        self.appended = 0
        self.integrated = 0
        self.integration_failures = 0
        self.sync_seconds: list[Callable[[float], None]] = []
        self._store = store
        self._state = state
        self._signer = signer
        self._clock = clock
        self._interval = interval
        self._next_integration = clock.monotonic()
        self._queue: list[tuple[bytes, asyncio.Future[int]]] = []
        self._backlog = 0
        self._tidied = state.edge.size
        self._closed = False
        self._committing: asyncio.Task[None] | None = None
        self._integrating: asyncio.Task[None] | None = None
        self._following: asyncio.Task[None] | None = None
        self._waiters: list[tuple[int, asyncio.Future[None]]] = []
        self._sync_thread = ThreadPoolExecutor(1, "log-sync")
        self._tile_thread = ThreadPoolExecutor(1, "log-tiles")

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
    ) -> Log:
        """Take the log's lock, recover, and publish a checkpoint over all that is durable. Blocks; needs no loop.

        origin:    the log's identity and the signer's name; a second log or another key needs another origin.
        interval:  seconds between two integrations under load.
        Raises ConfigError: a second writer, another log's directory, damage that a crash can't explain, a full disk.
        """
        if signer.name != origin:
            raise ConfigError("The log's signing key must be named like the log's origin.")
        store = LogStore(directory, fs or OsFs())
        try:
            state = _recover(store, signer)
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
    def checkpoint(self) -> bytes:
        """The newest checkpoint, a signed note."""
        return self._state.checkpoint

    @property
    def public_directory(self) -> Path:
        """What may be served as static files."""
        return self._store.public.directory

    async def append(self, entry: bytes) -> int:
        """Make ``entry`` durable; returns its index. Callers that arrive during a sync share the next one.

        A caller that is cancelled may leave its entry in the log, and disturbs no other.
        Raises ValueError beyond 65,535 bytes; Unavailable when the disk fails, the backlog is full, or after close.
        """
        if len(entry) > MAX_ENTRY:
            raise ValueError(f"a log entry has at most {MAX_ENTRY} bytes")
        if self._closed or self._store.journal.broken:
            raise Unavailable("LOG_CLOSED", "The receipt log accepts no entries; restart purge once its disk works.")
        if self._backlog > MAX_BACKLOG:
            raise Unavailable("LOG_BEHIND", "The receipt log can't integrate; check its disk, then try again.")
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._queue.append((bytes(entry), future))
        self._backlog += len(entry)
        if self._committing is None:
            self._committing = asyncio.create_task(self._commit())
        return await future

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
        """Inclusion of entry ``index`` under the newest checkpoint. Raises IndexError beyond that."""
        state = self._state
        if not 0 <= index < state.edge.size:
            raise IndexError(f"log entry {index} is not under a checkpoint")
        tree = TileTree(self._store.public.reader, state.edge.size)
        return Proof(index, tuple(inclusion_proof(index, state.edge.size, tree.node)), state.checkpoint)

    def inclusion_proof(self, index: int) -> list[bytes]:
        """``prove(index)`` without the checkpoint. Raises IndexError."""
        return list(self.prove(index).hashes)

    def consistency_proof(self, old: int) -> list[bytes]:
        """That the newest checkpoint's tree extends the tree of ``old`` leaves. Raises ValueError beyond it."""
        size = self._state.edge.size
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

    async def close(self) -> None:
        """Finish what was appended, integrate, let go of the lock. Entries that can't be integrated stay durable."""
        if self._closed:
            return
        self._closed = True
        if self._following is not None:
            self._following.cancel()
        if self._committing is not None:
            await asyncio.wait([self._committing])
        try:
            await self.integrate()
            if self._integrating is not None:
                await asyncio.wait([self._integrating])
        except Unavailable:
            self.integration_failures += 1
        finally:
            self._wake(Unavailable("LOG_CLOSED", "The receipt log was closed."))
            self._sync_thread.shutdown()
            self._tile_thread.shutdown()
            self._store.close()

    async def _commit(self) -> None:
        try:
            while self._queue:
                batch, self._queue = self._queue[:MAX_BATCH], self._queue[MAX_BATCH:]
                await self._commit_batch(batch)
        finally:
            self._committing = None

    async def _commit_batch(self, batch: list[tuple[bytes, asyncio.Future[int]]]) -> None:
        entries = [entry for entry, _ in batch]
        began = self._clock.monotonic()
        try:
            first = await asyncio.get_running_loop().run_in_executor(
                self._sync_thread, self._store.journal.append, entries
            )
        except BaseException as error:
            self._backlog -= sum(map(len, entries))
            self._refuse(batch)
            if isinstance(error, OSError):
                return
            raise
        self._state.pending.extend(entries)
        self.appended += len(entries)
        for index, (_, future) in enumerate(batch, first):
            if not future.done():
                future.set_result(index)
        for callback in self.sync_seconds:
            callback(self._clock.monotonic() - began)
        self._follow()

    def _refuse(self, batch: list[tuple[bytes, asyncio.Future[int]]]) -> None:
        for _, future in batch:
            if not future.done():
                future.set_exception(Unavailable("LOG_DISK", "The receipt log's disk refused a write; check it."))

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
        entries = state.pending[:]
        try:
            edge, checkpoint = await loop.run_in_executor(
                self._tile_thread, _publish, self._store, state.edge, entries, self._signer
            )
            self._state = _State(edge, checkpoint, state.pending[len(entries) :])
            self._backlog -= sum(map(len, entries))
            self.integrated += len(entries)
            self._wake()
            await loop.run_in_executor(self._tile_thread, _tidy, self._store, self._tidied, edge.size)
            self._tidied = edge.size
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

    def _bundle(self, state: _State, bundle: int) -> tuple[bytes, ...] | list[bytes]:
        if bundle == state.edge.size // WIDTH:
            return state.edge.tail
        return read_entries(self._store.public.reader, bundle, WIDTH)


def _observed(task: asyncio.Task[None]) -> None:
    """Each waiter got the error through its shield; with no waiter left, asyncio should not complain about it."""
    if not task.cancelled():
        task.exception()


def _recover(store: LogStore, signer: Signer) -> _State:
    """The state after a crash at any moment: what the checkpoint covers, then what the journal holds beyond it."""
    store.public.prepare()
    edge, checkpoint = _load(store, signer)
    entries = store.journal.recover(edge.size)
    if checkpoint is None or entries:
        edge, checkpoint = _publish(store, edge, entries, signer)
    # A crash may have come between a checkpoint and the tidying after it, whose last step is to drop the journal.
    store.public.remove_partials(store.journal.oldest, edge.size)
    store.journal.start(edge.size)
    return _State(edge, checkpoint, [])


def _load(store: LogStore, signer: Signer) -> tuple[Edge, bytes | None]:
    """The newest checkpoint and its tree's edge. Raises ConfigError unless they belong together and to ``signer``."""
    signed = store.public.checkpoint()
    if signed is None:
        if store.public.is_empty() and store.journal.is_empty():
            return Edge(), None
        # To begin again at zero would fork whatever checkpoint was signed before.
        raise ConfigError(f"The log in {store.public.directory} has lost its checkpoint; restore it.")
    try:
        checkpoint = open_checkpoint(signed, signer.verifier)
        edge = Edge.load(store.public.reader, checkpoint.size)
    except (VerificationError, FileNotFoundError) as error:
        raise ConfigError(f"The log in {store.public.directory} is another log's, or damaged: {error}") from error
    if edge.root() != checkpoint.root:
        raise ConfigError(f"The tiles in {store.public.directory} don't have the checkpoint's root; restore them.")
    return edge, signed


def _publish(store: LogStore, edge: Edge, entries: list[bytes], signer: Signer) -> tuple[Edge, bytes]:
    grown, files = edge.extended(entries)
    checkpoint = sign_checkpoint(Checkpoint(signer.name, grown.size, grown.root()), signer)
    store.public.publish(files, checkpoint)
    return grown, checkpoint


def _tidy(store: LogStore, old: int, new: int) -> None:
    store.public.remove_partials(old, new)
    store.journal.rotate()
    store.journal.drop(new)
