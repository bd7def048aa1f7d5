"""The trip of one photo: lease, upload, scrub, render, delivery or parking, and always an end.

The journey outlives the call that began it: a phone that hangs up after the seal still gets its picture (parked).
The way in is ``relay.py``, the way out ``delivery.py``; this file is what holds them together.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

from mesh.clock import Clock
from mesh.custody.book import Custody, CustodyBook, LeaseRef
from mesh.custody.guard import in_custody
from mesh.errors import Aborted, MeshError, Unavailable
from mesh.log import get_logger
from mesh.tasks import Tasks
from mesh.tracing import spans
from services.gateway import messages
from services.gateway.authentication import Caller
from services.gateway.client import Client
from services.gateway.delivery import Delivery, Outcome
from services.gateway.metrics import GatewayMetrics
from services.gateway.order import Start
from services.gateway.peers import Photos, Registry
from services.gateway.picture import Picture
from services.gateway.reasons import Reason, revocation_reason
from services.gateway.relay import Relay
from services.gateway.resume import ResumeToken, claim_verifier

_log = get_logger()
_SETTLE_ATTEMPTS = 5
_SETTLE_PAUSE = 0.3  # seconds


@dataclass(frozen=True, slots=True)
class Route:
    """What every journey needs."""

    book: CustodyBook
    holder: str
    registry: Registry
    photos: Photos
    clock: Clock
    tasks: Tasks
    metrics: GatewayMetrics
    delivery_seconds: float
    max_photo_bytes: int


class Journey:
    """One photo. ``run`` is called once, in a task of its own. cost: the scene's class."""

    def __init__(self, route: Route, client: Client, caller: Caller, start: Start, cost: str) -> None:
        self._route = route
        self._client = client
        self._caller = caller
        self._start = start
        self._cost = cost
        self._token = ResumeToken.new()
        self._photo_id = ""
        self._holders: list[str] = [route.holder]
        self._began = 0.0
        self._timed = False

    async def run(self) -> None:
        """Raises the typed error that the client should see; by then the lease's end is under way."""
        self._began = self._route.clock.monotonic()
        lease = await self._lease()
        try:
            async with in_custody(self._route.book, lease) as custody:
                await self._accept(lease)
                outcome = await self._carry(custody)
        except BaseException as error:
            self._give_up(error)
            raise
        spans.note(outcome=outcome.value)
        self._route.metrics.journeys.labels(outcome.value).inc()
        if outcome is Outcome.DELIVERED:
            await self._settle()
        elif outcome is Outcome.UNCONFIRMED:
            raise Aborted("DELIVERY_UNCONFIRMED", "Send `delivered`, or Collect the picture with its resume token.")

    # --- the lease ---

    async def _lease(self) -> LeaseRef:
        if not self._route.book.is_attended():
            raise Unavailable("REGISTRY_UNAVAILABLE", "The registry is away; try again shortly.", retry_after=1.0)
        lease = await self._route.registry.grant(
            owner=self._caller.owner,
            ttl=self._start.ttl if self._start.HasField("ttl") else None,
            nonce_commitment=self._start.nonce_commitment,
            claim_verifier=claim_verifier(self._token.claim_secret()),
            policy_version=self._start.policy_version,
        )
        self._photo_id = lease.photo_id
        spans.note(photo_id=lease.photo_id)
        return lease

    async def _accept(self, lease: LeaseRef) -> None:
        message = messages.accepted(
            lease,
            request_id=self._start.request_id,
            resume_token=self._token.text(),
            max_photo_bytes=self._route.max_photo_bytes,
        )
        await self._client.write(message)
        spans.event("accepted")

    def _give_up(self, error: BaseException) -> None:
        reason = revocation_reason(error)
        if isinstance(error, MeshError):
            self._route.metrics.refused.labels(error.reason).inc()
        if reason is not None:
            # In the background: the client need not wait until every holder has confirmed.
            self._route.tasks.spawn(self._revoke(reason))

    async def _revoke(self, reason: Reason) -> None:
        for _ in range(_SETTLE_ATTEMPTS):
            try:
                await self._route.registry.revoke(self._photo_id, reason)
            except Unavailable:
                await self._route.clock.sleep(_SETTLE_PAUSE)
            except MeshError:
                return  # it has ended otherwise
            else:
                return
        _log.warning("revocation_left_to_expiry", photo_id=self._photo_id)

    async def _settle(self) -> None:
        bundle = await self._settled()
        spans.event("settled")
        await self._client.write(messages.receipt(self._photo_id, bundle))

    async def _settled(self) -> bytes:
        for attempt in range(_SETTLE_ATTEMPTS):
            try:
                return await self._route.registry.settle(self._photo_id, self._holders, collected=False)
            except Unavailable:
                if attempt + 1 < _SETTLE_ATTEMPTS:
                    await self._route.clock.sleep(_SETTLE_PAUSE)
        raise Unavailable(
            "RECEIPT_PENDING", "The picture is yours; its receipt isn't ready. Ask GetReceipt for it.", retry_after=5.0
        )

    # --- the photo ---

    def _is_there(self) -> None:
        """All of the picture is out, or parked. What the app does with it from here on is not the mesh's time."""
        if not self._timed:
            self._timed = True
            self._route.metrics.seconds.labels(self._cost).observe(self._route.clock.monotonic() - self._began)

    async def _carry(self, custody: Custody) -> Outcome:
        route = self._route
        scrub = route.photos.scrub(custody.lease)
        render = route.photos.render(custody.lease, self._start, self._caller)
        try:
            picture = Picture(render, await Relay(self._client, custody, scrub, render).run())
            self._holders += [await scrub.holder(), await render.holder()]
            delivery = Delivery(
                client=self._client,
                registry=route.registry,
                clock=route.clock,
                custody=custody,
                key=self._token.parking_key(self._photo_id),
                seconds=route.delivery_seconds,
                handed_out=self._is_there,
            )
            outcome = await delivery.run(picture, self._holders)
            self._is_there()
            # The picture is where it must be: a render that dies now takes nothing with it, and ends no lease early.
            with suppress(Unavailable):
                await render.close()
            return outcome
        finally:
            scrub.cancel()
            render.cancel()
