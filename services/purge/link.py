"""The way from purge to its Redis, whatever its topology.

An await on a shared connection is never cancelled: the next caller would read the reply that was meant for this one
(redis-py#2624). Each batch and each operation runs in a task of its own, to its own end, whoever stops waiting for it.
Nothing is tried again after a failure that may have been carried out; what a server refused to carry out (a slot that
has moved, a function that it doesn't know) is.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any

from redis.exceptions import AskError, MovedError, ResponseError, TryAgainError

from mesh.errors import Unavailable
from mesh.tasks import Tasks
from services.purge import functions
from services.purge.address import Host, RedisAddress
from services.purge.batching import Lane
from services.purge.refusal import FAILURES, is_answer, refusal
from services.purge.topology import MAX_CONNECTIONS, Replicas, Server, Topology, topology_of
from services.purge.wire import TIMEOUT, Word, pack

# The client's own types say "bytes or str" throughout; here it is always bytes.
Operation = Callable[[Any], Awaitable[Any]]
Ask = Callable[[Sequence[bytes]], Awaitable[list[Any]]]
"""Sends packed commands: one reply for each, an exception where there is none."""
Call = tuple[str, Sequence[str], Sequence[Word]]
"""A function's name, its keys (of one shard), its arguments."""
_OPERATIONS = MAX_CONNECTIONS - 8  # at once; the rest of the connections is for batches
_ON_THE_MOVE = (AskError, TryAgainError)  # MovedError is an AskError
_PADDING = bytes(24 << 10)
"""More than what a server keeps of a connection's last command or reply (16 KiB), and less than what it reads into
memory of its own (PROTO_MBULK_BIG_ARG, 32 KiB; src/server.h)."""
_HOPS = 4  # times that one command may be sent elsewhere
_REFRESH_EVERY = 0.2  # seconds between two looks for the servers, at least


class Link:
    """Bounded connections, without retries. ``calls``, ``round_trips``: counters since the start."""

    def __init__(self, address: RedisAddress) -> None:
        self.address = address
        self._topology: Topology = topology_of(address)
        self._replicas = Replicas(address)
        self._lanes: dict[str, tuple[Server, Lane]] = {}
        self._tasks = Tasks()
        self._places = asyncio.Semaphore(_OPERATIONS)
        self._under_way: dict[str, asyncio.Task[None]] = {}
        self._ready = False
        self._operations = 0
        self._busy = self._most_busy = 0  # operations at once: now, and at the most since connections were rinsed
        self._batches = 0  # of lanes whose server is gone
        self.calls = 0
        self.up = False
        """Whether the last operation was answered."""

    @property
    def round_trips(self) -> int:
        return self._operations + self._batches + sum(lane.round_trips for _, lane in self._lanes.values())

    async def run(self, operation: Operation) -> Any:
        """The operation's reply. Raises Unavailable when there is none, or when the registry refuses."""
        return await asyncio.shield(self._tasks.spawn(self._guarded(operation)))

    async def call(self, function: str, keys: Sequence[str], args: Sequence[Word]) -> Any:
        """One function of the library. Raises Unavailable."""
        return (await self.call_all([(function, keys, args)]))[0]

    async def call_all(self, calls: Sequence[Call]) -> list[Any]:
        """Many functions in one round trip (to each server), in their order; not atomic together. Raises Unavailable
        if one of them failed; the others are carried out all the same."""
        return _all_of(await self.call_each(calls))

    async def call_each(self, calls: Sequence[Call]) -> list[Any]:
        """Like ``call_all``, but an Unavailable in place of each reply that there isn't."""
        return await self.send_each([_as_command(call) for call in calls])

    async def send(self, key: str, *words: Word) -> Any:
        """One plain command on one key, in the next batch: ``send(key, "HGETALL", key)``. Raises Unavailable."""
        return _all_of(await self.send_each([(key, words)]))[0]

    async def send_each(self, commands: Sequence[tuple[str, Sequence[Word]]]) -> list[Any]:
        """Commands with the key that says where they go; a reply or an Unavailable for each."""
        self.calls += len(commands)
        try:
            if not self._ready:
                await self._find()
            replies = await self._batch(commands)
        except (Unavailable, *FAILURES) as error:
            replies = [error] * len(commands)
        if any(isinstance(reply, Exception) for reply in replies):
            await self._mend(commands, replies)
            self._judge(replies)
            return [refusal(reply) if isinstance(reply, Exception) else reply for reply in replies]
        self.up = True
        return replies

    async def primaries(self) -> list[tuple[Server, Ask]]:
        """Every server that has keys of ours, and what sends commands to it. Raises Unavailable."""
        return [(server, self._asker(lane)) for server, lane in await self._lanes_of_all()]

    async def rinse(self) -> None:
        """Overwrites what connections and servers keep of the ciphertext that passed last. Nothing if they are away.

        Raises Unavailable when a server has refused it: then it is still to be done.
        """
        # All at once, so that each takes a connection of its own; the pool hands out first what was used last.
        # What is still under way is counted for the next time.
        used, self._most_busy = self._most_busy, self._busy
        words = [pack("FCALL", f"{functions.LIBRARY}_rinse", 0), pack("PING", _PADDING)]
        try:
            lanes = [lane for _, lane in await self._lanes_of_all()]
        except Unavailable:
            return
        pings = [self.run(lambda client: client.execute_command("PING", _PADDING)) for _ in range(used)]
        rinses = [asyncio.shield(self._tasks.spawn(lane.rinse(words))) for lane in lanes]
        replies = await asyncio.gather(*pings, *rinses, return_exceptions=True)
        found = [reply for each in replies for reply in (each if isinstance(each, list) else [each])]
        if refused := [reply for reply in found if isinstance(reply, Exception) and is_answer(reply)]:
            self._most_busy = max(self._most_busy, used)
            raise refusal(refused[0])

    async def _lanes_of_all(self) -> list[tuple[Server, Lane]]:
        try:
            if not self._ready:
                await self._find()
            return [self._lane(server) for server in self._topology.primaries()]
        except FAILURES as error:
            self._judge([error])
            raise refusal(error) from error

    def owner_of(self, key: str) -> str:
        """The name of the server that has the key. Raises Unavailable while nobody does."""
        try:
            return self._topology.server_of(key).name
        except FAILURES as error:
            self._judge([error])
            raise refusal(error) from error

    def replica(self, host: Host) -> Ask:
        """What sends commands to a replica."""
        exchange = self._replicas.exchange(host)
        return lambda packed: asyncio.shield(self._tasks.spawn(exchange(packed)))

    async def load_library(self) -> None:
        """Makes the library of every primary ours, unless it is already. Raises Unavailable."""
        for server, lane in await self._lanes_of_all():
            listed = (await lane.send([pack("FUNCTION", "LIST", "LIBRARYNAME", functions.LIBRARY, "WITHCODE")]))[0]
            if isinstance(listed, Exception):
                self._judge([listed])
                raise refusal(listed) from listed
            if functions.source().encode() not in _flat(listed):
                await self._load(server, lane)
        self.up = True

    def suspect(self) -> None:
        """Looks for the servers anew, in the background: one of them has failed, or is not what it was."""
        self._once("refresh", self._refresh)

    async def close(self) -> None:
        """Waits for what runs, then closes all connections."""
        await self._tasks.wait(2 * TIMEOUT)
        for _, lane in self._lanes.values():
            await lane.idle(2 * TIMEOUT)
        await self._replicas.close()
        await self._topology.close()

    async def _find(self) -> None:
        await asyncio.shield(self._once("find", self._find_once))

    async def _batch(self, commands: Sequence[tuple[str, Sequence[Word]]]) -> list[Any]:
        """Each server's commands in one group, in their order."""
        if self._topology.only is not None:
            return await self._lane(self._topology.only)[1].send([pack(*words) for _, words in commands])
        groups: dict[str, tuple[Lane, list[int], list[bytes]]] = {}
        for index, (key, words) in enumerate(commands):
            server, lane = self._lane(self._topology.server_of(key))
            _, indices, packed = groups.setdefault(server.name, (lane, [], []))
            indices.append(index)
            packed.append(pack(*words))
        futures = [(indices, lane.send(packed)) for lane, indices, packed in groups.values()]
        replies: list[Any] = [None] * len(commands)
        for indices, future in futures:
            for index, reply in zip(indices, await future, strict=True):
                replies[index] = reply
        return replies

    async def _mend(self, commands: Sequence[tuple[str, Sequence[Word]]], replies: list[Any]) -> None:
        """Sends again, in their order, the commands that a server has refused to begin with."""
        for _ in range(_HOPS):
            again = [i for i, reply in enumerate(replies) if _never_ran(reply)]
            if not again:
                return
            reasons = [replies[i] for i in again]
            try:
                for i in again:
                    await self._prepare(commands[i][0], replies[i])
                answers = await self._resend([commands[i] for i in again], reasons)
            except (Unavailable, *FAILURES):
                return
            for index, answer in zip(again, answers, strict=True):
                replies[index] = answer

    async def _prepare(self, key: str, reason: Exception) -> None:
        """The slot's new place, or the library where it is missing. Raises Unavailable, FAILURES."""
        if isinstance(reason, MovedError):
            await self._topology.moved(reason)
            self.suspect()
        elif _is_unknown_function(reason):
            await self._load(*self._lane(self._topology.server_of(key)))

    async def _resend(self, commands: Sequence[tuple[str, Sequence[Word]]], why: Sequence[Exception]) -> list[Any]:
        """A slot on the move needs ASKING, which the client knows how to do; everything else is another batch."""
        if not any(isinstance(reason, _ON_THE_MOVE) and not isinstance(reason, MovedError) for reason in why):
            return await self._batch(commands)
        return [await self._alone(words) for _, words in commands]

    async def _alone(self, words: Sequence[Word]) -> Any:
        try:
            return await self.run(lambda client: client.execute_command(*words))
        except Unavailable as error:
            return error

    async def _load(self, server: Server, lane: Lane) -> None:
        """The library on one server; once, however many callers miss it. Raises Unavailable."""

        async def load() -> None:
            reply = (await lane.send([pack("FUNCTION", "LOAD", "REPLACE", functions.source())]))[0]
            if isinstance(reply, Exception):
                self._judge([reply])
                raise refusal(reply) from reply

        await asyncio.shield(self._once(server.name, load))

    def _once(self, name: str, work: Callable[[], Coroutine[Any, Any, None]]) -> asyncio.Task[None]:
        """``work``, unless it is under way already."""
        task = self._under_way.get(name)
        if task is None or task.done():
            task = self._under_way[name] = self._tasks.spawn(work())
        return task

    def _asker(self, lane: Lane) -> Ask:
        async def ask(packed: Sequence[bytes]) -> list[Any]:
            replies = await lane.send(packed)
            self._judge(replies)
            return replies

        return ask

    def _lane(self, server: Server) -> tuple[Server, Lane]:
        known = self._lanes.get(server.name)
        if known is None or known[0] is not server:
            if known is not None:
                self._batches += known[1].round_trips
            known = self._lanes[server.name] = (server, Lane(server.exchange))
        return known

    def _judge(self, replies: Sequence[Any]) -> None:
        """``up``, and whether the servers should be looked for, by what was answered."""
        self.up = all(not isinstance(reply, Exception) or is_answer(reply) for reply in replies)
        if not self.up:
            self.suspect()

    async def _find_once(self) -> None:
        try:
            await self._topology.ready()
        except FAILURES as error:
            self.up = False
            raise refusal(error) from error
        self._ready = True

    async def _refresh(self) -> None:
        # Whoever asked has had its answer; if this fails, the next failure looks again.
        with contextlib.suppress(*FAILURES):
            await self._topology.refresh()
        await asyncio.sleep(_REFRESH_EVERY)

    async def _guarded(self, operation: Operation) -> Any:
        try:
            async with asyncio.timeout(TIMEOUT):
                await self._places.acquire()
        except TimeoutError as error:
            raise refusal(error) from error
        self._operations += 1
        self.calls += 1
        self._busy += 1
        self._most_busy = max(self._most_busy, self._busy)
        try:
            reply = await operation(self._topology.client)
        except FAILURES as error:
            self._judge([error])
            raise refusal(error) from error
        finally:
            self._busy -= 1
            self._places.release()
        self.up = True
        return reply


def _as_command(call: Call) -> tuple[str, Sequence[Word]]:
    function, keys, args = call
    return keys[0], ("FCALL", f"{functions.LIBRARY}_{function}", len(keys), *keys, *args)


def _all_of(replies: list[Any]) -> list[Any]:
    for reply in replies:
        if isinstance(reply, Exception):
            raise reply
    return replies


def _never_ran(reply: object) -> bool:
    return isinstance(reply, _ON_THE_MOVE) or _is_unknown_function(reply)


def _is_unknown_function(reply: object) -> bool:
    return isinstance(reply, ResponseError) and "function not found" in str(reply).lower()


def _flat(value: Any) -> list[Any]:
    return [leaf for item in value for leaf in _flat(item)] if isinstance(value, list) else [value]
