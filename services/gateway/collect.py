"""Hands out a parked picture: claimed before a byte leaves, and from then on its claimant's alone.

A claim of which no byte has left goes back, so that anybody with the token may try again. One of which a byte has left
stays with its claimant until the lease ends: that client may go on where it was cut off, and nobody else may begin.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from mesh import frames
from mesh.clock import Clock
from mesh.custody.book import PHOTO_ID, Custody, CustodyBook
from mesh.custody.guard import in_custody
from mesh.errors import Invalid, NotFound, Unavailable, no_such_photo
from mesh.tasks import Tasks
from mesh.tracing import spans
from mesh.tracing.marks import Marks
from services.gateway import messages
from services.gateway.client import Client
from services.gateway.parking import Parking
from services.gateway.peers import Claim, Collection, Registry
from services.gateway.resume import ResumeToken

Answer = TypeVar("Answer")
CLAIMANT_BYTES = 16
_PAUSE = 0.3  # seconds between attempts at a registry that is away
_CONFIRM_SECONDS = 5.0  # that a confirmation waits for a registry that is away


@dataclass(frozen=True, slots=True)
class Wish:
    """What a client asks for, checked. claimant: empty when the client has none.

    Raises NotFound for what can't be a photo or its token, Invalid for what can't be a claimant.
    """

    photo_id: str
    token: ResumeToken
    claimant: bytes = b""
    received: int = 0
    will_confirm: bool = False

    @classmethod
    def parse(
        cls, photo_id: str, resume_token: str, claimant: bytes, received: int = 0, *, will_confirm: bool = False
    ) -> Wish:
        if not PHOTO_ID.match(photo_id):
            raise no_such_photo()
        if len(claimant) != CLAIMANT_BYTES and (claimant or will_confirm):
            raise Invalid("CLAIMANT_SIZE", "A claimant has 16 random bytes.", field="claimant", limit=CLAIMANT_BYTES)
        return cls(photo_id, ResumeToken.parse(resume_token), claimant, received, will_confirm)

    def of(self, owner: bytes) -> Collection:
        """The same, as purge is asked."""
        claimant = self.claimant or secrets.token_bytes(CLAIMANT_BYTES)
        return Collection(self.photo_id, owner, self.token.claim_secret(), claimant, self.received)


class Collector:
    """One call to ``collect`` is one try of one client. ``clock``: the one that leases are measured by."""

    def __init__(self, *, book: CustodyBook, holder: str, registry: Registry, tasks: Tasks, clock: Clock) -> None:
        self._book = book
        self._holder = holder
        self._registry = registry
        self._tasks = tasks
        self._clock = clock
        self._under_way: dict[tuple[str, bytes], tuple[Client, asyncio.Event]] = {}
        self._handed_out: dict[str, float] = {}

    async def collect(self, client: Client, owner: bytes, wish: Wish) -> None:
        """Streams the picture, and its receipt unless the client will confirm. NotFound, Unavailable(NOT_PARKED_YET).

        The work outlives its caller: who hangs up after the last byte has still collected.
        """
        work = self._tasks.spawn(self._collect(client, owner, wish))
        try:
            await asyncio.shield(work)
        except asyncio.CancelledError:
            client.hang_up()
            if work.cancelled():
                raise Unavailable(
                    "SHUTTING_DOWN", "This gateway is shutting down; try again.", retry_after=1.0
                ) from None
            raise

    async def confirm(self, owner: bytes, wish: Wish) -> bytes:
        """The picture is safe with this claimant; the receipt bundle, also a second time. NotFound, Unavailable."""
        wanted = wish.of(owner)
        # A process that never held the picture is not to be waited for.
        holders = [self._holder] if wish.photo_id in self._handed_out else []
        until = self._clock.wall() + _CONFIRM_SECONDS
        return await self._insist(lambda: self._registry.settle_collected(wanted, holders), until)

    async def _collect(self, client: Client, owner: bytes, wish: Wish) -> None:
        with spans.span("collection", photo_id=wish.photo_id):
            await self._collect_it(client, owner, wish)

    async def _collect_it(self, client: Client, owner: bytes, wish: Wish) -> None:
        wanted = wish.of(owner)
        ended = await self._take_over(client, wanted)
        try:
            expire = await self._hand_out(client, wish, wanted)
        finally:
            ended.set()
            self._under_way.pop((wanted.photo_id, wanted.claimant), None)
        if wish.will_confirm:
            return
        bundle = await self._insist(
            lambda: self._registry.settle(wish.photo_id, [self._holder], collected=True), expire
        )
        spans.event("settled")
        await client.write(messages.receipt(wish.photo_id, bundle))

    async def _take_over(self, client: Client, wanted: Collection) -> asyncio.Event:
        """A client that comes again has given its earlier call up, although its connection may not have ended here."""
        key, ended = (wanted.photo_id, wanted.claimant), asyncio.Event()
        while (earlier := self._under_way.get(key)) is not None:
            earlier[0].hang_up()
            await earlier[1].wait()
        self._under_way[key] = client, ended
        return ended

    async def _hand_out(self, client: Client, wish: Wish, wanted: Collection) -> float:
        """Every message that is wanted; the lease's end, Unix seconds."""
        outgoing = _Outgoing(client)
        claim: Claim | None = None
        try:
            async with self._registry.claim(wanted) as claim:
                self._remember(claim)
                spans.event("claimed")
                parking = Parking(wish.token.parking_key(wish.photo_id), wish.photo_id, first=wish.received)
                await self._stream(outgoing, claim, parking, wish.received)
                return claim.lease.expire_time
        except BaseException:
            if claim is not None and not claim.again and not outgoing.began:
                self._tasks.spawn(self._give_back(wanted, claim.lease.expire_time))
            raise

    async def _stream(self, outgoing: _Outgoing, claim: Claim, parking: Parking, at: int) -> None:
        if at == claim.segment_count:
            return  # all of it has arrived before
        try:
            async with in_custody(self._book, claim.lease) as custody:
                marks = Marks("picture")
                async for segment in claim.segments:
                    at += 1
                    await _pass_on(outgoing, custody, parking.open(segment, last=at == claim.segment_count))
                    marks.piece()
                marks.end()
                if at != claim.segment_count:
                    raise no_such_photo()
        except Invalid as error:
            if error.reason != "PHOTO_IN_USE":
                raise
            # The journey that parked it is just letting go.
            raise Unavailable("NOT_PARKED_YET", "The picture isn't ready yet; try again.", retry_after=1.0) from None

    def _remember(self, claim: Claim) -> None:
        now = self._clock.wall()
        self._handed_out = {photo_id: expire for photo_id, expire in self._handed_out.items() if expire > now}
        self._handed_out[claim.lease.photo_id] = claim.lease.expire_time

    async def _give_back(self, wanted: Collection, expire: float) -> None:
        try:
            await self._insist(lambda: self._registry.return_claim(wanted), expire)
        except (NotFound, Unavailable):
            return  # the lease has ended meanwhile, or will

    async def _insist(self, ask: Callable[[], Awaitable[Answer]], until: float) -> Answer:
        """Asks again while purge is away, until then (Unix seconds). Every one of these may be repeated."""
        while True:
            try:
                return await ask()
            except Unavailable:
                if self._clock.wall() + _PAUSE >= until:
                    raise
                await self._clock.sleep(_PAUSE)


class _Outgoing:
    """The way to the client. began: whether a byte may have left."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.began = False

    async def write(self, frame: bytes) -> None:
        self.began = self.began or not self._client.is_gone
        await self._client.write(frame)


async def _pass_on(outgoing: _Outgoing, custody: Custody, frame: bytes) -> None:
    frames.sole_field(frame)
    with custody.passing(len(frame)):
        await outgoing.write(frame)
