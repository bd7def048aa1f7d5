"""The decoder in its own process: the same pixels as here, and whatever it dies of is one caller's error."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import numpy as np
import pytest
from PIL import Image
from prometheus_client import CollectorRegistry

from mesh.errors import Invalid
from mesh.isolation.metrics import IsolationMetrics
from services.render import decoder, decoding
from services.render.decoding import Decode, IsolatedDecode, decode_here
from tests.scene_subjects import child, display_p3, saved


@pytest.fixture
async def isolated() -> AsyncIterator[Decode]:
    workers = decoding.workers(slots=2, metrics=IsolationMetrics(CollectorRegistry(), "render"))
    await workers.start()
    yield IsolatedDecode(workers)
    await workers.stop()


def transparent() -> bytes:
    image = child().convert("RGBA")
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    return saved(image, "png")


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("jpeg", saved(child())),
        ("jpeg", saved(child().resize((2400, 3000)), progressive=True)),
        ("png", transparent()),
        ("png", saved(child(), "png", icc_profile=display_p3())),
        ("webp", saved(child(), "webp")),
        ("png", saved(Image.fromarray(np.asarray(child().convert("L"), np.uint16) * 257), "png")),
    ],
    ids=["jpeg", "large jpeg", "transparent", "wide gamut", "webp", "16-bit"],
)
async def test_the_same_pixels_as_in_process(isolated: Decode, kind: str, data: bytes) -> None:
    there = await asyncio.to_thread(isolated, kind, [data[:1000], data[1000:]])
    here = decode_here(kind, [data])
    assert np.array_equal(there.rgb, here.rgb)
    assert (there.shape is None) == (here.shape is None)
    assert there.shape is None or here.shape is None or np.array_equal(there.shape, here.shape)


async def test_a_damaged_photo_is_refused_in_the_same_words(isolated: Decode) -> None:
    data = saved(child())
    for broken in (b"", data[: len(data) // 2], data[:200] + bytes(500) + data[700:]):
        with pytest.raises(Invalid) as error:
            await asyncio.to_thread(isolated, "jpeg", [broken])
        assert (error.value.reason, error.value.field) == ("MALFORMED_PHOTO", "photo")


async def test_a_bomb_is_refused_before_it_is_decoded(isolated: Decode) -> None:
    bomb = saved(Image.new("1", (12_000, 12_000)), "png")
    with pytest.raises(Invalid, match="PHOTO_TOO_LARGE"):
        await asyncio.to_thread(isolated, "png", [bomb])


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        decoder.HEAD.pack(10, 10, False) + bytes(299),
        decoder.HEAD.pack(10, 10, True) + bytes(300),
        decoder.HEAD.pack(0, 10, False),
        decoder.HEAD.pack(decoder.WORK_SIDE + 1, 1, False) + bytes(3 * decoder.WORK_SIDE + 3),
    ],
)
def test_an_answer_that_does_not_add_up_is_not_believed(answer: bytes) -> None:
    with pytest.raises(Invalid, match="MALFORMED_PHOTO"):
        decoding._pixels(answer)
