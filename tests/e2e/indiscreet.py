"""A phone that says too much wherever something can be said, and keeps what the mesh answers, word by word."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import Any

import grpc
import jwt

from clients.local.mesh import LocalMesh
from clients.local.sign_in import AUDIENCE, ISSUER
from mayfly.gateway.v1 import gateway_pb2_grpc
from mesh.errors import MeshError
from mesh.status import from_rpc
from mesh.testing.ports import HOST
from tests.e2e.phone import Phone, Upload

ADDRESS = "127.77.66.55"
"""Where the phone is."""
REQUEST_ID = "7e57ca7a-5eed-4bad-8bad-c0ffee0ddba1"
TRACE_ID = "c0ffee11c0ffee22c0ffee33c0ffee44"
SPAN_ID = "ca7aca7aca7aca7a"
WORDS = {
    "subject": "parent-jane-canary-4711",
    "name": "Jane-Canary-Example",
    "email": "jane.canary@example.org",
    "claim": "other_claim_canary_90210",
    "file_name": "IMG_canary_2031_garden.jpg",
    "header": "header_canary_word_31337",
    "agent": "agent_canary_phone_8",
    "state": "state_canary_vendor_77",
    "baggage": "baggage_canary_user_55",
    "scene": "scene_canary_not_there",
    "caption": "caption_canary_hello",
    "locale": "xx-canary-locale-word",
    "policy": "policy-canary-1999",
    "token": "token_canary_not_one_0123456789",
    "photo": "photo_canary_not_one_98765",
    "unknown": "unknown_field_canary_word",
    "text": "text_canary_instead_of_a_photo",
    "method": "MethodCanaryNotThere",
    "page": "page_canary_not_there",
}
SEED = 3_141_592_653


class Forwarding:
    """A context manager: what connects here comes to ``target`` from ``ADDRESS``."""

    def __init__(self, target: str) -> None:
        host, _, port = target.rpartition(":")
        self._target = (host, int(port))
        self._listener = socket.create_server((HOST, 0))
        self.address = f"{HOST}:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Forwarding:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.create_connection(self._target, source_address=(ADDRESS, 0))
                for source, sink in ((near, far), (far, near)):
                    threading.Thread(target=_pump, args=(source, sink), daemon=True).start()


def _asking(fields: dict[str, Any]) -> dict[str, Any]:
    return {"request_id": REQUEST_ID, "locale": WORDS["locale"], "seed": SEED, **fields}


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(1 << 16):
            sink.sendall(data)
    for end in (source, sink):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


class Indiscreet(Phone):
    """answers: the codes, sentences, details and metadata of every call that failed. owners: whose tokens it showed."""

    def __init__(self, mesh: LocalMesh, address: str) -> None:
        super().__init__(mesh)
        self._key = (mesh.state.pki / "issuer.key").read_text()
        self.answers: list[bytes] = []
        self.reasons: dict[str, int] = {}
        self.codes: set[str] = set()
        self.subjects: list[str] = []
        self.tokens: list[str] = []
        self.bundles: list[bytes] = []
        credentials = grpc.ssl_channel_credentials(mesh.ca_file.read_bytes())
        options = (
            ("grpc.use_local_subchannel_pool", 1),
            ("grpc.primary_user_agent", WORDS["agent"]),
            ("grpc.max_send_message_length", -1),
        )
        self.secure = grpc.aio.secure_channel(address, credentials, options=options)

    async def __aenter__(self) -> Indiscreet:
        await self.channel.close()
        self.channel = self.secure
        self.stub: Any = gateway_pb2_grpc.PhotoServiceStub(self.channel)
        self.somebody_else()
        return self

    def somebody_else(self, token: str | None = None, **claims: object) -> Indiscreet:
        """From now on another user calls, or one with this header."""
        subject = f"{WORDS['subject']}-{len(self.subjects)}"
        self.subjects.append(subject)
        known = {"iss": ISSUER, "aud": AUDIENCE, "sub": subject, "exp": 4_000_000_000, **claims}
        known |= {"name": WORDS["name"], "email": WORDS["email"], "other": WORDS["claim"]}
        made = jwt.encode(known, self._key, algorithm="EdDSA", headers={"kid": WORDS["claim"]})
        self.tokens.append(made)
        self.metadata = (
            ("authorization", token if token is not None else f"Bearer {made}"),
            ("x-file-name", WORDS["file_name"]),
            ("x-anything", WORDS["header"]),
            ("x-anything-bin", WORDS["header"].encode()),
            ("traceparent", f"00-{TRACE_ID}-{SPAN_ID}-01"),
            ("tracestate", f"vendor={WORDS['state']}"),
            ("baggage", f"user={WORDS['baggage']}"),
        )
        return self

    async def start(self, scene: str, **fields: Any) -> Upload:
        return await self.render().start(scene, **_asking(fields))

    async def fails(self, call: Any) -> MeshError:
        """Reads a call to its failure, and keeps all of it."""
        try:
            if hasattr(call, "read"):
                while (await call.read()) is not grpc.aio.EOF:
                    pass
                raise AssertionError("the call ended well")
            await call
        except grpc.aio.AioRpcError as error:
            return self._keep(error)
        raise AssertionError("the call ended well")

    def _keep(self, error: grpc.aio.AioRpcError) -> MeshError:
        metadata = [*(error.initial_metadata() or ()), *(error.trailing_metadata() or ())]
        said = [error.code().name.encode(), (error.details() or "").encode()]
        for key, value in metadata:
            said += [key.encode(), value if isinstance(value, bytes) else value.encode()]
        self.answers.append(b"\n".join(said))
        meant = from_rpc(error)
        self.codes.add(error.code().name)
        self.reasons[meant.reason] = self.reasons.get(meant.reason, 0) + 1
        return meant

    async def start_fails(self, scene: str = "bright_day", **fields: Any) -> MeshError:
        """A Render that doesn't come to its lease."""
        call = self.render()
        try:
            await call.start(scene, **_asking(fields))
        except MeshError:
            return await self.ended(call.call)
        raise AssertionError("it got its lease")

    async def upload_fails(
        self, data: bytes, *, scene: str = "bright_day", byte_count: int | None = None, **fields: Any
    ) -> MeshError:
        """A Render whose photo is refused."""
        upload = await self.start(scene, **fields)
        await upload.send(data)
        await upload.seal(len(data) if byte_count is None else byte_count)
        return await self.fails(upload.call)

    async def ended(self, call: Any) -> MeshError:
        first, last = await call.initial_metadata(), await call.trailing_metadata()
        return self._keep(grpc.aio.AioRpcError(await call.code(), first, last, await call.details()))

    async def ask_fails(self, method: str, request: Any) -> MeshError:
        call = getattr(self.stub, method)(request, metadata=self.metadata, timeout=15)
        return await self.fails(call)
