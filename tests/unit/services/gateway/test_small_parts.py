"""Scenes, reasons, running things together, and the cursor over a picture."""

from __future__ import annotations

import asyncio

import pytest

from mayfly.gateway.v1 import gateway_pb2 as gateway
from mayfly.photo.v1 import photo_pb2 as photo
from mayfly.purge.v1 import registry_pb2 as registry
from mayfly.render.v1 import render_pb2
from mesh import errors
from mesh.errors import Internal, Invalid, MeshError, NotFound, Unavailable
from mesh.status import CALL_CANCELLED
from services.gateway.client import ClientGone
from services.gateway.picture import Picture
from services.gateway.reasons import revocation_reason
from services.gateway.scenes import Scenes
from services.gateway.together import together
from tests.unit.serving import FakeClock, no_tasks_beside


class Source:
    """Render's catalogue, which can be away."""

    def __init__(self) -> None:
        caption = render_pb2.CatalogueCaption(caption_id="six_months", texts={"en": "six months", "fr": "six mois"})
        self.scenes = [
            render_pb2.CatalogueScene(
                scene_id="meadow",
                kind="milestone",
                titles={"en": "Meadow", "fr": "Pré"},
                captions=[caption],
                min_side=64,
                cost="heavy",
                preview=b"a picture",
                preview_media_type="image/jpeg",
            ),
            render_pb2.CatalogueScene(scene_id="odd", kind="a kind of tomorrow", titles={"de": "Seltsam"}),
        ]
        self.edition = "1"
        self.asked: list[str] = []
        self.error: MeshError | None = None

    async def list(self, known_edition: str) -> render_pb2.ListScenesResponse:
        self.asked.append(known_edition)
        if self.error is not None:
            raise self.error
        if known_edition == self.edition:
            return render_pb2.ListScenesResponse(edition=self.edition, unchanged=True)
        return render_pb2.ListScenesResponse(scenes=self.scenes, edition=self.edition)


class World:
    def __init__(self) -> None:
        self.source, self.clock = Source(), FakeClock()
        self.scenes = Scenes(self.source, self.clock)  # type: ignore[arg-type] # it has the one method


@pytest.fixture
async def world() -> World:
    return World()


@pytest.mark.parametrize(
    ("locale", "title", "words"),
    [
        ("", "Meadow", "six months"),
        ("fr-CA", "Pré", "six mois"),
        ("FR_fr", "Pré", "six mois"),
        ("xx", "Meadow", "six months"),
    ],
)
async def test_scenes_in_the_callers_language(world: World, locale: str, title: str, words: str) -> None:
    first, odd = await world.scenes.list(locale)
    assert (first.title, first.captions[0].text, first.kind, first.min_side) == (
        title,
        words,
        gateway.SCENE_KIND_MILESTONE,
        64,
    )
    assert (odd.title, odd.kind) == ("", gateway.SCENE_KIND_UNSPECIFIED)
    assert (first.cost, odd.cost) == (gateway.SCENE_COST_HEAVY, gateway.SCENE_COST_UNSPECIFIED)


async def test_previews_come_when_they_are_asked_for(world: World) -> None:
    first, odd = await world.scenes.list("en", with_previews=True)
    assert (first.preview, first.preview_media_type) == (b"a picture", "image/jpeg")
    assert (odd.preview, odd.preview_media_type) == (b"", "")
    first, _ = await world.scenes.list("en")
    assert (first.preview, first.preview_media_type) == (b"", "")


async def test_what_is_asked_for_is_there(world: World) -> None:
    assert await world.scenes.check("meadow", "") == "heavy"
    assert await world.scenes.check("meadow", "six_months") == "heavy"
    assert await world.scenes.check("odd", "") == ""
    for scene_id, caption_id, reason in (
        ("", "", "UNKNOWN_SCENE"),
        ("Meadow", "", "UNKNOWN_SCENE"),
        ("meadow", "seven_months", "UNKNOWN_CAPTION"),
        ("odd", "six_months", "UNKNOWN_CAPTION"),
    ):
        with pytest.raises(Invalid) as refusal:
            await world.scenes.check(scene_id, caption_id)
        assert refusal.value.reason == reason


async def test_the_catalogue_is_asked_for_by_its_edition(world: World) -> None:
    for _ in range(3):
        await world.scenes.check("meadow", "")
    assert world.source.asked == [""]
    world.clock.advance(6)
    assert len(await world.scenes.list("en")) == 2
    assert world.source.asked == ["", "1"], "nothing has changed, and nothing was sent"
    world.clock.advance(6)
    world.source.scenes, world.source.edition = world.source.scenes[:1], "2"
    assert len(await world.scenes.list("en")) == 1


async def test_what_is_missing_is_looked_for_at_once(world: World) -> None:
    late = world.source.scenes.pop()
    await world.scenes.check("meadow", "")
    world.source.scenes.append(late)
    world.source.edition = "2"
    for _ in range(3):
        with pytest.raises(Invalid):
            await world.scenes.check("odd", "")
    assert len(world.source.asked) == 1, "a caller of what there isn't can't make us ask more than once a second"
    world.clock.advance(1.5)
    await world.scenes.check("odd", "")


async def test_an_old_catalogue_is_better_than_none(world: World) -> None:
    world.source.error = Unavailable("PEER_UNAVAILABLE", "Away.")
    with pytest.raises(Unavailable):
        await world.scenes.list("en")
    world.source.error = None
    await world.scenes.list("en")
    world.clock.advance(6)
    world.source.error = Unavailable("PEER_UNAVAILABLE", "Away.")
    await world.scenes.check("meadow", "")
    world.source.error = Internal("INTERNAL", "A bug.")
    with pytest.raises(Internal):
        await world.scenes.check("meadow", "")


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ClientGone(), registry.REVOCATION_REASON_UPLOAD_ABORTED),
        (errors.Aborted("UPLOAD_UNSEALED", "."), registry.REVOCATION_REASON_UPLOAD_ABORTED),
        (errors.Invalid("MALFORMED_PHOTO", "."), registry.REVOCATION_REASON_REFUSED),
        (errors.Denied("ATTESTATION_INVALID", "."), registry.REVOCATION_REASON_REFUSED),
        (errors.Unavailable("PEER_UNAVAILABLE", "."), registry.REVOCATION_REASON_PEER_LOST),
        (errors.Exhausted("RENDER_QUEUE_FULL", "."), registry.REVOCATION_REASON_ENGINE_FAILED),
        (errors.Internal("RENDER_FAILED", "."), registry.REVOCATION_REASON_ENGINE_FAILED),
        (ValueError(), registry.REVOCATION_REASON_ENGINE_FAILED),
        (errors.Cancelled(CALL_CANCELLED, "."), registry.REVOCATION_REASON_PEER_LOST),
        (errors.Cancelled("PHOTO_REVOKED", "."), None),
        (errors.NotFound("PHOTO_NOT_FOUND", "."), None),
        (errors.Overdue("LEASE_EXPIRED", "."), None),
        (asyncio.CancelledError(), registry.REVOCATION_REASON_SHUTDOWN),
    ],
)
def test_why_a_lease_is_revoked(error: BaseException, reason: int | None) -> None:
    assert revocation_reason(error) == reason


async def test_together_gives_results_in_order() -> None:
    async def give(value: int) -> int:
        for _ in range(3 - value):
            await asyncio.sleep(0)
        return value

    assert await together(give(0), give(1), give(2)) == [0, 1, 2]


async def test_together_the_first_failure_ends_all_and_is_raised_bare() -> None:
    before = asyncio.all_tasks()
    ended: list[str] = []

    async def wait(name: str) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(name)

    async def fail() -> None:
        await asyncio.sleep(0)
        raise NotFound("FIRST", ".")

    async def fail_when_cancelled() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise Internal("SECOND", ".") from None

    with pytest.raises(NotFound) as error:
        await together(wait("a"), fail(), fail_when_cancelled(), wait("b"))
    assert error.value.reason == "FIRST"
    assert sorted(ended) == ["a", "b"]
    await no_tasks_beside(before)


async def test_together_is_cancelled_as_one() -> None:
    before = asyncio.all_tasks()
    whole = asyncio.create_task(together(asyncio.Event().wait(), asyncio.Event().wait()))
    await asyncio.sleep(0)
    whole.cancel()
    with pytest.raises(asyncio.CancelledError):
        await whole
    await no_tasks_beside(before)


PICTURE = [
    photo.PhotoFrame(header=photo.PhotoHeader()).SerializeToString(),
    photo.PhotoFrame(chunk=b"a").SerializeToString(),
    photo.PhotoFrame(chunk=b"b").SerializeToString(),
    photo.PhotoFrame(seal=photo.PhotoSeal(byte_count=2)).SerializeToString(),
]


class Render:
    """The render end of a hop: sends the picture's frames after the first one, and again after a replay."""

    def __init__(self) -> None:
        self.left = PICTURE[1:]
        self.replays = 0

    async def read_frame(self) -> bytes:
        frame, self.left = self.left[0], self.left[1:]
        return frame

    async def write(self, frame: bytes) -> None:
        assert photo.PhotoFrame.FromString(frame).WhichOneof("frame") == "replay"
        assert self.left == [], "what was on its way has been read"
        self.replays += 1
        self.left = list(PICTURE)


@pytest.mark.parametrize("read", range(len(PICTURE) + 2))
async def test_a_picture_can_be_rewound_from_anywhere(read: int) -> None:
    render = Render()
    picture = Picture(render, PICTURE[0])  # type: ignore[arg-type] # it has the two methods
    for at in range(read):
        assert await picture.next() == (PICTURE[at] if at < len(PICTURE) else None)
    await picture.rewind()
    assert render.replays == (1 if read else 0)
    assert [await picture.next() for _ in range(5)] == [*PICTURE, None]
