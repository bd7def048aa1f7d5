"""The way in: the client's frames to ingest, ingest's to render, render's progress back to the client.

Each pump lets go of a frame before it waits for the next, so that a waiting photo is in nobody's hands here.
"""

from __future__ import annotations

from mesh import frames
from mesh.custody.book import Custody
from mesh.errors import Aborted, Invalid
from mesh.tracing import spans
from mesh.tracing.marks import Marks
from services.gateway import messages
from services.gateway.client import Client, ClientGone
from services.gateway.hop import Hop
from services.gateway.together import together


class Relay:
    """One photo's upload, from the lease to the picture's first frame."""

    def __init__(self, client: Client, custody: Custody, scrub: Hop, render: Hop) -> None:
        self._client = client
        self._custody = custody
        self._scrub = scrub
        self._render = render
        self._marks = Marks("photo")

    async def run(self) -> bytes:
        """The picture's first frame. Raises the first pump's error."""
        *_, first = await together(self._upload(), self._hand_over(), self._follow())
        return bytes(first)

    async def _upload(self) -> None:
        """Client to ingest, until the seal."""
        while await self._pass_on():
            pass
        await self._scrub.half_close()

    async def _pass_on(self) -> bool:
        """One frame; False after the seal."""
        raw = await self._client.read()
        if raw is None:
            raise Aborted("UPLOAD_UNSEALED", "The upload ended without its seal; send the photo again.")
        field, at = frames.sole_field(raw)
        if field not in (frames.CHUNK, frames.SEAL):
            raise Invalid("MALFORMED_FRAME", "After `start` come chunks and then a seal.", field="message")
        if field == frames.SEAL:
            self._marks.end()
            spans.event("seal")
        else:
            self._marks.piece()
        with self._custody.passing(len(raw) - at):
            await self._scrub.write(raw)
        return field != frames.SEAL

    async def _hand_over(self) -> None:
        """Ingest to render, as it is; the client hears what was removed."""
        while await self._hand_over_one():
            pass

    async def _hand_over_one(self) -> bool:
        """One frame; False at the end of ingest's stream."""
        raw = await self._scrub.read()
        if raw is None:
            return False
        field, at = frames.sole_field(raw)
        with self._custody.passing(len(raw) - at):
            await self._render.write(raw)
        if field == frames.SEAL:
            spans.event("scrubbed")
            await self._tell(messages.scrubbed(raw))
        return True

    async def _follow(self) -> bytes:
        """Passes progress on; returns the picture's first frame."""
        while frames.sole_field(raw := await self._render.read_frame())[0] == messages.PROGRESS:
            await self._tell(raw)
        return raw

    async def _tell(self, message: bytes) -> None:
        """Says something that the client may miss."""
        try:
            await self._client.write(message)
        except ClientGone:
            return
