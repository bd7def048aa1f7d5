"""The resume token, and what it seals: nobody without it, nothing moved, dropped or cut short."""

from __future__ import annotations

import base64
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.errors import NotFound
from services.gateway.parking import TAG_BYTES, Parking
from services.gateway.resume import ResumeToken, claim_verifier

ID, OTHER_ID = "0" * 32, "1" * 32
TOKEN = ResumeToken(bytes(range(32)))
FRAMES = st.lists(st.binary(max_size=60), min_size=1, max_size=6)


def sealed(frames: list[bytes], token: ResumeToken = TOKEN, photo_id: str = ID) -> list[bytes]:
    parking = Parking(token.parking_key(photo_id), photo_id)
    return [parking.seal(frame, last=at == len(frames)) for at, frame in enumerate(frames, 1)]


def opened(segments: list[bytes], token: ResumeToken = TOKEN, photo_id: str = ID) -> list[bytes]:
    """As Collect does: the count is what the registry says, and it lies if that helps it."""
    parking = Parking(token.parking_key(photo_id), photo_id)
    return [parking.open(segment, last=at == len(segments)) for at, segment in enumerate(segments, 1)]


@given(FRAMES)
def test_there_and_back(frames: list[bytes]) -> None:
    segments = sealed(frames)
    assert opened(segments) == frames
    assert [len(segment) for segment in segments] == [len(frame) + TAG_BYTES for frame in frames]


@given(FRAMES, st.data())
def test_anything_moved_dropped_or_cut_is_not_found(frames: list[bytes], data: st.DataObject) -> None:
    segments = sealed(frames)
    tampered = data.draw(
        st.one_of(
            st.permutations(segments),
            st.lists(st.sampled_from(segments), min_size=1, max_size=7),
            st.integers(0, len(segments) - 1).map(lambda n: segments[:n]),
        )
    )
    if tampered in (segments, []):
        return
    with pytest.raises(NotFound):
        opened(list(tampered))


@given(FRAMES, st.integers(0, 500), st.integers(1, 255))
def test_no_bit_may_change(frames: list[bytes], at: int, flip: int) -> None:
    segments = sealed(frames)
    whole = bytearray(segments[0])
    whole[at % len(whole)] ^= flip
    with pytest.raises(NotFound):
        opened([bytes(whole), *segments[1:]])


@given(FRAMES)
def test_another_photo_or_token_is_not_found(frames: list[bytes]) -> None:
    segments = sealed(frames)
    for token, photo_id in ((TOKEN, OTHER_ID), (ResumeToken.new(), ID)):
        with pytest.raises(NotFound):
            opened(segments, token, photo_id)
    swapped = Parking(TOKEN.parking_key(ID), OTHER_ID)
    with pytest.raises(NotFound):
        swapped.open(segments[0], last=len(segments) == 1)


@pytest.mark.parametrize("segment", [b"", b"x", bytes(TAG_BYTES - 1), bytes(TAG_BYTES), bytes(1 << 20)])
def test_no_ciphertext_at_all(segment: bytes) -> None:
    with pytest.raises(NotFound):
        opened([segment])


def test_equal_frames_give_unequal_segments() -> None:
    assert len(set(sealed([b"same"] * 5))) == 5


def test_tokens_are_random_and_have_one_spelling() -> None:
    assert len({ResumeToken.new().secret for _ in range(100)}) == 100
    text = TOKEN.text()
    assert len(text) == 43
    assert ResumeToken.parse(text) == TOKEN


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        TOKEN.text()[:-1],
        TOKEN.text() + "A",
        TOKEN.text() + "=",
        TOKEN.text() + "\n",
        " " + TOKEN.text(),
        "é" * 43,
        "+" * 43,
        "/" * 43,
        TOKEN.text()[:-1] + "5",  # the same 32 bytes in another spelling
        base64.b64encode(bytes(32)).decode(),
        "A" * 5000,
    ],
)
def test_a_wrong_token_looks_like_a_photo_that_never_was(text: str) -> None:
    with pytest.raises(NotFound) as refusal:
        ResumeToken.parse(text)
    assert refusal.value.reason == "PHOTO_NOT_FOUND"


def test_the_secret_does_not_show() -> None:
    shown = f"{TOKEN!r} {TOKEN} {[TOKEN]} {vars(Parking(TOKEN.parking_key(ID), ID))}"
    for secret in (TOKEN.secret, TOKEN.claim_secret(), TOKEN.parking_key(ID)):
        assert repr(secret)[2:-1] not in shown
        assert secret.hex() not in shown
    assert TOKEN.text() not in shown


def test_what_purge_sees_opens_nothing() -> None:
    derived = {TOKEN.secret, TOKEN.claim_secret(), TOKEN.parking_key(ID), TOKEN.parking_key(OTHER_ID)}
    assert len(derived) == 4
    assert claim_verifier(TOKEN.claim_secret()) == hashlib.sha256(TOKEN.claim_secret()).digest()
    assert claim_verifier(TOKEN.claim_secret()) not in derived
