"""Frames against protobuf itself: whatever ``sole_field`` lets pass, protobuf reads as that one field."""

from __future__ import annotations

import random
import tracemalloc

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given, settings
from hypothesis import strategies as st

from mayfly.gateway.v1 import gateway_pb2 as gateway
from mayfly.photo.v1 import photo_pb2 as pb
from mesh import frames
from mesh.errors import Invalid

NAMES = {1: "header", 2: "chunk", 3: "seal", 4: "progress", 5: "replay"}


@given(st.binary(min_size=1, max_size=5000), st.data())
def test_a_chunk_is_what_protobuf_writes_however_it_is_cut(data: bytes, draw: st.DataObject) -> None:
    cut = draw.draw(st.integers(0, len(data)))
    frame = frames.encode_chunk((memoryview(data)[:cut], data[cut:]), len(data))
    assert frame == pb.PhotoFrame(chunk=data).SerializeToString()
    field, at = frames.sole_field(frame)
    assert (field, frames.take_chunk(frame, at)) == (frames.CHUNK, data)


@pytest.mark.parametrize("size", [1, 127, 128, 16383, 16384, frames.FRAME_CHUNK_BYTES, frames.MAX_CHUNK_BYTES])
def test_lengths_at_the_edges_of_a_varint(size: int) -> None:
    frame = frames.encode_chunk((bytes(size),), size)
    assert frame == pb.PhotoFrame(chunk=bytes(size)).SerializeToString()
    assert len(frame) <= frames.MAX_FRAME_BYTES
    assert len(frames.take_chunk(frame, frames.sole_field(frame)[1])) == size


@pytest.mark.parametrize(
    ("message", "field"),
    [
        (pb.PhotoFrame(header=pb.PhotoHeader()), 1),
        (pb.PhotoFrame(seal=pb.PhotoSeal(byte_count=2**63)), 3),
        (pb.PhotoFrame(progress=pb.Progress(stage=pb.STAGE_RENDERING, step="tone", fraction=0.5)), 4),
        (pb.PhotoFrame(replay=pb.Replay()), 5),
        (gateway.RenderRequest(start=gateway.RenderStart()), 16),
        (gateway.RenderRequest(delivered=gateway.Delivered()), 17),
        (gateway.RenderResponse(receipt=gateway.Receipt(bundle=bytes(300))), 18),
    ],
)
def test_every_message_of_the_streams(message: pb.PhotoFrame, field: int) -> None:
    assert frames.sole_field(message.SerializeToString())[0] == field


@settings(max_examples=500)
@given(
    st.one_of(
        st.binary(max_size=40),
        st.tuples(st.integers(0, 255), st.binary(max_size=30)).map(
            lambda part: bytes((part[0], len(part[1]))) + part[1]
        ),
    )
)
def test_what_passes_is_the_one_field_that_protobuf_sees(raw: bytes) -> None:
    try:
        field, at = frames.sole_field(raw)
    except Invalid:
        return
    if field not in NAMES:
        return
    try:
        message = pb.PhotoFrame.FromString(raw)
    except DecodeError:
        assert field != frames.CHUNK, "a chunk of any bytes is a chunk"
        return
    assert message.WhichOneof("frame") == NAMES[field]
    if field == frames.CHUNK:
        assert message.chunk == raw[at:]


CHUNK = pb.PhotoFrame(chunk=b"abc").SerializeToString()


@pytest.mark.parametrize(
    ("what", "raw"),
    [
        ("empty", b""),
        ("a tag alone", b"\x12"),
        ("truncated", CHUNK[:-1]),
        ("a byte after it", CHUNK + b"\0"),
        ("two chunks", CHUNK + CHUNK),
        ("a chunk and a seal", CHUNK + pb.PhotoFrame(seal=pb.PhotoSeal()).SerializeToString()),
        ("an unknown field after it", CHUNK + b"\xfa\x06\x01x"),
        ("a varint field", b"\x10\x01"),
        ("a fixed64 field", b"\x11" + bytes(8)),
        ("a group", b"\x13\x14"),
        ("a fixed32 field", b"\x15" + bytes(4)),
        ("a length that never ends", b"\x12" + b"\x80" * 20),
        ("a tag that never ends", b"\x92" + b"\x80" * 20),
        ("a tag of six bytes", b"\x92\x80\x80\x80\x80\x00\x03abc"),
        ("a length of ten bytes", b"\x12\x83" + b"\x80" * 8 + b"\x00abc"),
        ("a length beyond 4 GiB", b"\x12\xff\xff\xff\xff\x7f"),
    ],
)
def test_refused(what: str, raw: bytes) -> None:
    with pytest.raises(Invalid) as refusal:
        frames.sole_field(raw)
    assert refusal.value.reason == "MALFORMED_FRAME"


@pytest.mark.parametrize("size", [0, frames.MAX_CHUNK_BYTES + 1])
def test_an_empty_and_an_oversized_chunk_are_refused(size: int) -> None:
    raw = pb.PhotoFrame(chunk=bytes(size)).SerializeToString()
    with pytest.raises(Invalid) as refusal:
        frames.take_chunk(raw, frames.sole_field(raw)[1])
    assert refusal.value.limit == frames.MAX_CHUNK_BYTES


def framed(framer: frames.Framer, feeds: list[list[bytes]]) -> list[bytes]:
    out = [frame for pieces in feeds for frame in framer.add(pieces)]
    rest = framer.flush()
    return out if rest is None else [*out, rest]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.integers(0, 3 * frames.FRAME_CHUNK_BYTES // 2), max_size=4), max_size=5))
def test_a_framer_loses_nothing_and_cuts_even_frames(sizes: list[list[int]]) -> None:
    source = random.Random(1)
    feeds = [[source.randbytes(size) for size in pieces] for pieces in sizes]
    framer = frames.Framer()
    out = framed(framer, feeds)
    chunks = [frames.take_chunk(frame, frames.sole_field(frame)[1]) for frame in out]
    whole = b"".join(piece for pieces in feeds for piece in pieces)
    assert b"".join(chunks) == whole
    assert framer.byte_count == len(whole)
    assert all(len(chunk) == frames.FRAME_CHUNK_BYTES for chunk in chunks[:-1])
    assert all(0 < len(chunk) <= frames.FRAME_CHUNK_BYTES for chunk in chunks)


def test_no_frame_is_ever_over_the_limit() -> None:
    almost, most = bytes(frames.FRAME_CHUNK_BYTES - 1), bytes(frames.MAX_CHUNK_BYTES)
    out = framed(frames.Framer(), [[almost], [most, most]])
    assert max(map(len, out)) <= frames.MAX_FRAME_BYTES


def test_a_framer_of_nothing_has_no_frame() -> None:
    assert framed(frames.Framer(), [[], [b""], [b"", b""]]) == []


def test_one_byte_pieces_weigh_what_they_say() -> None:
    framer = frames.Framer()
    tracemalloc.start()
    try:
        for _ in range(200_000):
            assert list(framer.add([b"x"])) == []
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 1 << 20
    frame = framer.flush()
    assert frame is not None
    assert pb.PhotoFrame.FromString(frame).chunk == b"x" * 200_000


def test_small_parts_of_large_chunks_do_not_keep_them() -> None:
    framer = frames.Framer()
    tracemalloc.start()
    try:
        for _ in range(100):
            chunk = memoryview(bytes(1 << 20))
            assert list(framer.add([chunk[:5000]])) == []
            del chunk
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 9 << 20
