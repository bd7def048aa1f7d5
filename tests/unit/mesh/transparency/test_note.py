"""Signed notes against the published example of golang.org/x/mod/sumdb/note, and against bent ones."""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh.transparency.errors import VerificationError
from mesh.transparency.note import Signer, Verifier, open_note

VKEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
SEED = base64.b64decode("AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz")[1:]
TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
SIGNATURE = (
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)
NOTE = f"{TEXT}\n{SIGNATURE}".encode()
PETER = Signer("PeterNeumann", Ed25519PrivateKey.from_private_bytes(SEED))
ENOCH = Signer("EnochRoot", Ed25519PrivateKey.from_private_bytes(b"e" * 32))


def signature_line(signer: Signer, text: str) -> bytes:
    return signer.sign(text).removeprefix(f"{text}\n".encode())


def test_go_reads_what_we_write_and_we_read_what_go_wrote() -> None:
    assert PETER.sign(TEXT) == NOTE
    assert PETER.verifier.vkey == VKEY
    note = open_note(NOTE, [Verifier.parse(VKEY)])
    assert (note.text, [key.name for key in note.verified], note.unknown) == (TEXT, ["PeterNeumann"], ())


def test_parts_and_neighbours_of_a_verifier_key_are_refused() -> None:
    parts = [VKEY[i:j] for i in range(len(VKEY)) for j in range(i, len(VKEY) + 1) if (i, j) != (0, len(VKEY))]
    neighbours = [VKEY[:i] + chr(ord(VKEY[i]) + 1) + VKEY[i + 1 :] for i in range(len(VKEY))]
    adjusted = [  # Go's: a longer key and an unknown algorithm, each with a hash to match
        "PeterNeumann+cc469956+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TWBADKEY==",
        "PeterNeumann+173116ae+ZRpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
    ]
    for wrong in [*parts, *neighbours, *adjusted]:
        with pytest.raises(VerificationError):
            Verifier.parse(wrong)


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\u2003b", "a\nb", "a\tb"])
def test_names_that_no_key_can_have(name: str) -> None:
    with pytest.raises(ValueError, match="name"):
        Verifier(name, PETER.key.public_key())


def test_unknown_signatures_are_ignored_and_told() -> None:
    both = NOTE + signature_line(ENOCH, TEXT)
    assert open_note(both, [PETER.verifier]).unknown == ("EnochRoot",)
    assert [key.name for key in open_note(both, [ENOCH.verifier, PETER.verifier]).verified] == [
        "PeterNeumann",
        "EnochRoot",
    ]


def test_a_key_with_a_known_name_but_another_id_is_unknown() -> None:
    impostor = Signer("PeterNeumann", Ed25519PrivateKey.from_private_bytes(b"i" * 32))
    with pytest.raises(VerificationError):
        open_note(impostor.sign(TEXT), [PETER.verifier])


def test_one_wrong_signature_of_a_known_key_spoils_the_note() -> None:
    wrong = signature_line(ENOCH, "another text\n")
    with pytest.raises(VerificationError):
        open_note(NOTE + wrong, [PETER.verifier, ENOCH.verifier])


def test_a_text_with_empty_lines_ends_at_the_last_one() -> None:
    text = "one\n\ntwo\n\n\nthree\n"
    assert open_note(PETER.sign(text), [PETER.verifier]).text == text


@pytest.mark.parametrize(
    "bent",
    [
        b"",
        TEXT.encode(),
        TEXT.encode() + b"\n",
        NOTE[:-1],
        NOTE + b"\n",
        NOTE + b"x",
        NOTE + SIGNATURE.encode(),
        NOTE.replace(b"\n\n", b"\n"),
        NOTE.replace("— ".encode(), b"- "),
        NOTE.replace("— ".encode(), "—".encode()),
        NOTE.replace(b"PeterNeumann", b""),
        NOTE.replace(b"PeterNeumann ", b"PeterNeumann  "),
        NOTE.replace(b"\n", b"\r\n"),
        NOTE.replace(b"think", b"th\x00nk"),
        NOTE.replace(b"think", b"th\xffnk"),
        NOTE.replace(b"AM=", b"AN="),
        NOTE.replace(b"AM=", b"AM"),
        NOTE + "— EnochRoot AAAA\n".encode(),
        NOTE + "— EnochRoot !\n".encode(),
        NOTE + b"".join(f"— K{i} AAAAAAA=\n".encode() for i in range(40)),
        b"x" * (1 << 19) + NOTE,
    ],
)
def test_malformed_notes_are_refused(bent: bytes) -> None:
    with pytest.raises(VerificationError):
        open_note(bent, [PETER.verifier])


def test_any_changed_byte_is_refused() -> None:
    for at in range(len(NOTE)):
        for value in (NOTE[at] ^ 1, NOTE[at] ^ 0x20, 0x0A, 0x41):
            if value != NOTE[at]:
                with pytest.raises(VerificationError):
                    open_note(NOTE[:at] + bytes([value]) + NOTE[at + 1 :], [PETER.verifier])


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_nothing_but_a_verification_error_comes_out(data: bytes) -> None:
    for attempt in (data, NOTE + data, data + NOTE[1:]):
        if attempt != NOTE:
            with pytest.raises(VerificationError):
                open_note(attempt, [PETER.verifier])


@pytest.mark.parametrize("text", ["", "no newline", "tab\there\n", "return\r\n"])
def test_texts_that_no_note_can_hold(text: str) -> None:
    with pytest.raises(ValueError, match="text"):
        PETER.sign(text)
