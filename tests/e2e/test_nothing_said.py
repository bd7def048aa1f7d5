"""R7, by searching: whatever a client says, and however its photo ends, none of it is in anything that Mayfly writes.

One phone tells as much of a family as it can, in every field and header that there is, and causes errors of every kind,
bugs of ours included. Then logs, metrics, traces, errors, receipts, the log and Redis are searched for all of it, in
every form in which programs write bytes. A control is planted, which must be found.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote_from_bytes

import grpc
import pytest

from clients.local.mesh import LocalMesh
from clients.local.pki import Pki
from clients.local.sign_in import ISSUER
from mayfly.gateway.v1 import gateway_pb2 as pb
from mayfly.purge.v1 import registry_pb2, registry_pb2_grpc
from mesh import status, streams
from mesh.errors import MeshError
from mesh.identity import tls_name
from mesh.testing import wait
from mesh.testing.collector import Collector
from services.ingest.limits import Limits
from services.ingest.scrub import Scrubber
from tests import photos
from tests.e2e import books, places
from tests.e2e.cli import ROOT
from tests.e2e.indiscreet import ADDRESS, REQUEST_ID, SEED, SPAN_ID, TRACE_ID, WORDS, Forwarding, Indiscreet
from tests.e2e.needles import fingerprints, forms, found_in, unwrapped
from tests.leaks.babbling.babbling_signs import (
    CONTROL,
    GATEWAY_BUG,
    INGEST_WORD,
    PLANT,
    PURGE_TTL,
    RENDER_AWAY,
    RENDER_BUG,
    RENDER_SLOW,
)

SCENE = "bright_day"
BABBLING = Path(__file__).parents[1] / "leaks" / "babbling"
POLICY = "2026-11"
PLACES = ("logs", "metrics", "traces", "errors", "receipts", "log", "redis")


@dataclass
class Said:
    """What was written, by place; what was told; and what must be found."""

    places: dict[str, bytes] = field(default_factory=lambda: dict.fromkeys(PLACES, b""))
    needles: dict[str, set[bytes]] = field(default_factory=dict)
    witnesses: dict[str, bytes] = field(default_factory=dict)
    reasons: dict[str, int] = field(default_factory=dict)
    codes: set[str] = field(default_factory=set)


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory, portrait) -> Said:
    """Everything that happens here happens once."""
    return asyncio.run(_say_it_all(tmp_path_factory.mktemp("indiscreet"), portrait))


async def _say_it_all(state: Path, portrait: tuple[bytes, dict[str, bytes]]) -> Said:
    said = Said()
    with Collector() as collector:
        common = {**collector.settings, "PYTHONPATH": f"{BABBLING}:{ROOT}"}
        overrides = {
            "gateway": {**common, "MAYFLY_GATEWAY_MAX_PHOTOS_PER_OWNER": "2"},
            "ingest": common,
            "render": {**common, "MAYFLY_RENDER_ENGINE": "null"},
            "purge": {**common, "MAYFLY_PURGE_DAILY_QUOTA": "4"},
        }
        with LocalMesh(state, overrides, kept="raw") as mesh:
            with Forwarding(mesh.gateway_address) as way:
                async with Indiscreet(mesh, way.address) as phone:
                    await _everything(mesh, phone, portrait[0], said)
            said.needles = _needles(phone, portrait)
            said.reasons, said.codes = phone.reasons, phone.codes
            said.places["errors"] += b"\n".join(phone.answers)
            said.places["receipts"] += b"\n".join(phone.bundles)
        # After their end, so that nothing is still on its way.
        said.places["logs"] = b"\n".join(path.read_bytes() for path in sorted(mesh.state.service_logs.iterdir()))
        said.places["log"] += places.receipt_log(mesh)
        said.places["traces"] = b"\n".join(collector.raw)
    said.places = {place: unwrapped(hay) for place, hay in said.places.items()}
    return said


async def _everything(mesh: LocalMesh, phone: Indiscreet, photo: bytes, said: Said) -> None:
    await _wrong_starts(phone)
    await _wrong_tokens(phone)
    await _wrong_photos(phone, photo)
    await _wrong_questions(phone)
    await _strangers(mesh, phone)
    photo_id = await _ends_well(phone, photo)
    await _parked(mesh, phone, photo, said)
    await _taken_back(mesh, phone, photo, said)
    await _too_many(phone)
    await _bugs(phone, photo)
    indiscreet = (("User-Agent", WORDS["agent"]), ("X-Any", WORDS["header"]))
    asked = (photo_id, "0", WORDS["page"], WORDS["photo"], f'"><script>{WORDS["text"]}</script>')
    said.places["metrics"] += places.pages(mesh, headers=indiscreet, asked=asked)
    said.places["redis"] += places.registry(mesh)
    said.places["log"] += places.receipt_log(mesh)
    said.witnesses = {
        "logs": b'"planted"',
        "metrics": b"mayfly_build_info",
        "traces": photo_id.encode(),
        "errors": status.DOMAIN.encode(),
        "receipts": photo_id.encode(),
        "log": photo_id.encode(),
        "redis": photo_id.encode(),
    }
    await _away(mesh, phone, photo)
    said.places["metrics"] += places.pages(mesh)


async def _wrong_starts(phone: Indiscreet) -> None:
    for wrong in (
        {"scene": WORDS["scene"]},
        {"caption_id": WORDS["caption"]},
        {"policy_version": WORDS["policy"]},
        {"request_id": WORDS["text"]},
        {"locale": WORDS["locale"] * 3},
        {"nonce_commitment": WORDS["text"].encode()},
        {"ttl": 86_400.0},
        {"byte_count": 1 << 40},
    ):
        await phone.start_fails(**wrong)
    unknown = pb.RenderRequest(start=pb.RenderStart(request_id=REQUEST_ID, scene_id=SCENE, policy_version=POLICY))
    more = bytes([0xFA, 0x3F, len(WORDS["unknown"])]) + WORDS["unknown"].encode()  # field 1023, LEN
    for first in (
        unknown.SerializeToString() + more,
        WORDS["text"].encode(),
        b"",
        pb.RenderRequest(chunk=WORDS["text"].encode()).SerializeToString(),
    ):
        call = phone.channel.stream_stream("/mayfly.gateway.v1.PhotoService/Render")(metadata=phone.metadata)
        await call.write(first)
        await phone.fails(call)


async def _wrong_tokens(phone: Indiscreet) -> None:
    ask = pb.ListScenesRequest(locale=WORDS["locale"])
    for token in ("", f"Basic {WORDS['token']}", f"Bearer {WORDS['token']}", f"Bearer {WORDS['token']}.b.c"):
        await phone.somebody_else(token).ask_fails("ListScenes", ask)
    for claims in ({"exp": 1_000_000}, {"sub": ""}, {"aud": WORDS["claim"]}, {"mayfly_class": WORDS["claim"]}):
        await phone.somebody_else(**claims).ask_fails("ListScenes", ask)
        await phone.start_fails()
    phone.somebody_else()


async def _wrong_photos(phone: Indiscreet, photo: bytes) -> None:
    bomb = bytearray(photos.png(8, 8))
    bomb[16:24] = (50_000).to_bytes(4, "big") * 2  # IHDR's width and height
    bomb[29:33] = zlib.crc32(bomb[12:29]).to_bytes(4, "big")
    text = WORDS["text"].encode()
    heic = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + text * 40
    wrong = (
        b"",
        text * 20,
        b"%PDF-1.7\n" + text * 20,
        photo[:-40],
        photo[:2] + b"\xff\xdb\0\x03\x05" + text * 9,
        bytes(bomb),
        heic,
        photos.jpeg(8, 8),
        photo[:20] + INGEST_WORD + photo[20:],
    )
    for data in wrong:
        await phone.somebody_else().upload_fails(data)
    await phone.somebody_else().upload_fails(photo, byte_count=len(photo) + 1)
    upload = await phone.somebody_else().start(SCENE)
    await upload.call.done_writing()
    await phone.fails(upload.call)
    upload = await phone.start(SCENE)
    await upload.write(pb.RenderRequest(chunk=text * 100_000))  # over the size of a chunk
    await phone.fails(upload.call)
    upload = await phone.somebody_else().start(SCENE)
    await streams.write(upload.call, text)  # no frame at all
    await phone.fails(upload.call)
    upload = await phone.start(SCENE)
    await upload.send(photo[:20_000])
    upload.hang_up()
    upload = await phone.somebody_else().start(SCENE, ttl=1.2)
    await upload.send(photo[:20_000])
    await phone.fails(upload.call)


async def _wrong_questions(phone: Indiscreet) -> None:
    phone.somebody_else()
    for photo_id in (WORDS["photo"], "0" * 32):
        for method, request in (
            ("Revoke", pb.RevokeRequest(photo_id=photo_id)),
            ("GetReceipt", pb.GetReceiptRequest(photo_id=photo_id)),
            ("ConfirmCollected", pb.ConfirmCollectedRequest(photo_id=photo_id, resume_token=WORDS["token"])),
            ("Collect", pb.CollectRequest(photo_id=photo_id, resume_token=WORDS["token"])),
            ("Collect", pb.CollectRequest(photo_id=photo_id, claimant=WORDS["text"].encode())),
        ):
            await phone.ask_fails(method, request)
    for method in (WORDS["method"], f"../{WORDS['method']}"):
        unknown = phone.channel.unary_unary(f"/mayfly.gateway.v1.PhotoService/{method}")
        await phone.fails(unknown(WORDS["text"].encode(), metadata=phone.metadata))
    revoke = phone.channel.unary_unary("/mayfly.gateway.v1.PhotoService/Revoke")
    await phone.fails(revoke(WORDS["text"].encode(), metadata=phone.metadata))  # no such message
    await phone.fails(revoke(WORDS["text"].encode() * 200_000, metadata=phone.metadata))  # a large one


async def _strangers(mesh: LocalMesh, phone: Indiscreet) -> None:
    """Services that call what isn't theirs, and the one that does, with nonsense."""
    pki = Pki(mesh.state.pki)
    request = registry_pb2.GrantLeaseRequest(owner_digest=WORDS["subject"].encode(), policy_version=WORDS["policy"])
    # A service's traceparent is to be believed: there, the phone's would be.
    told = tuple(pair for pair in phone.metadata if pair[0] not in ("authorization", "traceparent"))
    for name in ("ingest", "gateway"):
        pair = (pki.key(name).read_bytes(), pki.certificate(name).read_bytes())
        credentials = grpc.ssl_channel_credentials(pki.ca.read_bytes(), *pair)
        options = (("grpc.ssl_target_name_override", tls_name("purge")),)
        async with grpc.aio.secure_channel(mesh.processes["purge"].address, credentials, options=options) as channel:
            stub = registry_pb2_grpc.RegistryServiceStub(channel)
            await phone.fails(stub.GrantLease(request, timeout=5, metadata=told))


async def _ends_well(phone: Indiscreet, photo: bytes) -> str:
    upload = await phone.somebody_else(mayfly_class="priority").start(SCENE)
    await upload.upload(photo)
    await upload.until("seal")
    await upload.deliver()
    await upload.until("receipt")
    request = pb.GetReceiptRequest(photo_id=upload.accepted.photo_id, wait_for_inclusion=True)
    phone.bundles += [upload.receipt, (await phone.ask("GetReceipt", request)).receipt.bundle]
    return upload.accepted.photo_id


async def _parked(mesh: LocalMesh, phone: Indiscreet, photo: bytes, said: Said) -> None:
    upload = await phone.somebody_else().start(SCENE, ttl=30)
    await upload.upload(photo)
    await upload.until("seal")
    upload.hang_up()
    wish = {"photo_id": upload.accepted.photo_id, "token": upload.accepted.resume_token}
    await books.eventually(lambda: b"parked:" in places.registry(mesh), 10, "it isn't parked")
    said.places["redis"] += places.registry(mesh)
    phone.bundles += [message.receipt.bundle for message in await phone.collect(**wish) if message.HasField("receipt")]
    await phone.ask_fails(
        "Collect", pb.CollectRequest(photo_id=wish["photo_id"], resume_token=wish["token"], claimant=bytes(16))
    )


async def _taken_back(mesh: LocalMesh, phone: Indiscreet, photo: bytes, said: Said) -> None:
    for ask in ("Revoke", "RevokeAll"):
        upload = await phone.somebody_else().start(SCENE, seed=RENDER_SLOW)
        await upload.upload(photo)
        await upload.until("progress")
        said.places["redis"] += places.registry(mesh)
        one = pb.RevokeRequest(photo_id=upload.accepted.photo_id)
        await phone.ask(ask, one if ask == "Revoke" else pb.RevokeAllRequest())
        await phone.fails(upload.call)


async def _too_many(phone: Indiscreet) -> None:
    """At a time, and in a day."""
    phone.somebody_else()
    held = [await phone.start(SCENE) for _ in range(2)]
    await phone.start_fails()
    for upload in held:
        upload.hang_up()

    async def refused_for_today() -> bool:
        call = phone.render()
        try:
            await call.start(SCENE)
        except MeshError as error:
            if error.reason == "QUOTA_EXCEEDED":
                await phone.ended(call.call)
                return True
        call.hang_up()
        return False

    await wait.eventually(refused_for_today, within=20, every=0.1)


async def _bugs(phone: Indiscreet, photo: bytes) -> None:
    await phone.somebody_else().start_fails(seed=GATEWAY_BUG)
    await phone.start_fails(ttl=PURGE_TTL)
    await phone.start_fails(seed=PLANT)
    for seed in (RENDER_BUG, RENDER_AWAY):
        await phone.somebody_else().upload_fails(photo, seed=seed)


async def _away(mesh: LocalMesh, phone: Indiscreet, photo: bytes) -> None:
    mesh.kill("ingest")
    upload = await phone.somebody_else().start(SCENE)
    await upload.send(photo)
    await phone.fails(upload.call)
    mesh.kill("valkey")
    await books.eventually(lambda: b"mayfly_registry_up 0" in places.pages(mesh), 10, "nobody misses Redis")
    await phone.somebody_else().start_fails()
    mesh.kill("purge")
    await phone.start_fails()


def _needles(phone: Indiscreet, portrait: tuple[bytes, dict[str, bytes]]) -> dict[str, set[bytes]]:
    photo, planted = portrait
    told = {name: word.encode() for name, word in WORDS.items()} | planted
    told |= {"request_id": REQUEST_ID.encode(), "request_id hex": bytes.fromhex(REQUEST_ID.replace("-", ""))}
    told |= {"address": ADDRESS.encode(), "seed": str(SEED).encode(), "bug": INGEST_WORD}
    told |= {"trace": bytes.fromhex(TRACE_ID), "span": bytes.fromhex(SPAN_ID), "photo itself": photo[5000:5032]}
    told |= {f"signature {at}": token.rpartition(".")[2].encode() for at, token in enumerate(phone.tokens)}
    scrubber = Scrubber(Limits())
    scrubbed = b"".join(scrubber.feed(photo)) + b"".join(scrubber.finish()[0])
    digested = {"photo": photo, "scrubbed": scrubbed}
    for subject in phone.subjects:
        digested |= {subject: subject.encode(), f"owner {subject}": f"{ISSUER}\0{subject}".encode()}
    told |= {f"{name} {len(d)}": d for name, value in digested.items() for d in fingerprints(value)}
    assert hashlib.sha256(photo).digest() in told.values()
    return {name: forms(value) for name, value in told.items()}


def test_errors_of_every_kind_were_caused(said: Said) -> None:
    assert {code.name for code in status._CODES.values()} <= said.codes
    assert {
        "EMPTY_PHOTO", "UNSUPPORTED_FORMAT", "TRUNCATED_PHOTO", "MALFORMED_PHOTO", "MALFORMED_FRAME", "UPLOAD_UNSEALED",
        "BYTE_COUNT_MISMATCH", "UNKNOWN_SCENE", "UNKNOWN_CAPTION", "POLICY_VERSION", "REQUEST_ID", "UNKNOWN_FIELD",
        "START_MISSING", "FIELD_TOO_LONG", "PHOTO_TOO_LARGE", "TOKEN_MISSING", "TOKEN_INVALID", "TOKEN_EXPIRED",
        "CALLER_NOT_ALLOWED", "GRANT_MALFORMED", "PHOTO_NOT_FOUND", "OWNER_BUSY", "QUOTA_EXCEEDED", "LEASE_EXPIRED",
        "PHOTO_REVOKED", "INTERNAL", "RENDER_FAILED", "POOL_AWAY", "PEER_UNAVAILABLE", "REGISTRY_UNAVAILABLE",
    } <= set(said.reasons)  # fmt: skip


@pytest.mark.parametrize("place", PLACES)
def test_nothing_of_it_is_said(said: Said, place: str) -> None:
    assert said.witnesses[place] in said.places[place], "it was not searched"
    assert found_in(said.places[place], said.needles) == set()


@pytest.mark.parametrize("place", ["logs", "metrics", "traces", "errors"])
def test_what_is_planted_is_found(said: Said, place: str) -> None:
    assert found_in(said.places[place], {"control": forms(CONTROL.encode())}) == {"control"}


def test_a_log_line_names_its_trace(said: Said) -> None:
    (planted,) = [line for line in said.places["logs"].splitlines() if b'"planted"' in line]
    assert bytes.fromhex(json.loads(planted)["trace_id"]) in said.places["traces"]


@pytest.mark.parametrize(
    "write",
    [
        bytes,
        bytes.upper,
        lambda value: value.hex().encode(),
        lambda value: value.hex(":").upper().encode(),
        lambda value: base64.b64encode(b"x" + value + b"yz"),
        lambda value: base64.urlsafe_b64encode(b"xy" + value),
        lambda value: base64.b64encode(json.dumps({"inner": value.hex()}).encode()),
        lambda value: base64.b64encode(base64.b64encode(value)).hex().encode(),
        lambda value: quote_from_bytes(value, safe="").encode(),
        lambda value: "".join(f"%{byte:02X}" for byte in value).encode(),
        lambda value: value.decode().encode("utf-16-le"),
        lambda value: repr(value + b"\xff").encode(),
    ],
)
def test_every_form_is_found(write: Callable[[bytes], bytes]) -> None:
    value = b"jane.canary@example.org"
    assert found_in(unwrapped(b"before " + write(value) + b" after"), {"it": forms(value)}) == {"it"}
    assert found_in(unwrapped(b"before " + write(value[::-1]) + b" after"), {"it": forms(value)}) == set()


def test_a_digest_is_found_in_what_quotes_its_bytes() -> None:
    digest = hashlib.sha256(b"jane").digest()
    assert found_in(unwrapped(repr(digest).encode()), {"it": forms(digest)}) == {"it"}
