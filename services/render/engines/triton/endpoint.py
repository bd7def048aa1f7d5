"""One server of a pool: its channel, whether it is ready, and one inference at a time from any thread.

Synchronous gRPC: steps run in worker threads, which have nothing else to do while a network works.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from enum import Enum, auto
from typing import Any

import grpc

from mayfly.inference import grpc_service_pb2 as pb
from mesh.frames import encode_varint
from mesh.identity import Identity
from mesh.log import get_logger
from mesh.server import FLOW_CONTROL
from services.render.engines.triton import refusals, wire
from services.render.engines.triton.contract import MODELS
from services.render.engines.triton.processors import Processor, Processors
from services.render.picture import Cancelled

_log = get_logger()

_SERVICE = "/inference.GRPCInferenceService/"
MAX_MESSAGE_BYTES = 32 << 20
"""A picture of 1280 x 1280 px is 20 MB as FP32."""
CANCEL_SECONDS = 0.05
"""How long a job that was taken back may go unnoticed while the pool works on it."""
_LOOK_SECONDS = 1.0  # for an answer about readiness
_MOST_MISSED = 3  # looks in a row without an answer, after which a server is away: a busy one may be slow
_UNWIND_SECONDS = 1.0  # for a cancelled call to let go of its tensors; it takes about a millisecond
_RINSE_SECONDS = 1.0
# What TLS keeps of a connection (mesh/forgetting/rinse.py): 16 KiB of what was written, 8 KiB of what was read.
_RINSE_OUT, _RINSE_IN = 32 << 10, 10 << 10
_MOST_RINSES = 128
# A field that ServerMetadataRequest doesn't have, which is skipped (protocol buffers, "Unknown Fields").
_PADDING = bytes((15 << 3 | 2,)) + encode_varint(_RINSE_OUT) + bytes(_RINSE_OUT)


class Failed(Exception):
    """The call ended with this status. unanswered: nothing of an answer came, and another server may be asked."""

    def __init__(self, code: grpc.StatusCode) -> None:
        super().__init__(code.name)
        self.code = code
        # An answer is one message: it comes whole or not at all, so nothing of it can have been used.
        self.unanswered = code is grpc.StatusCode.UNAVAILABLE


class Endpoint:
    """ready: the models that it takes inferences of. impostor: who answers there isn't the processor."""

    def __init__(self, address: str, processors: Processors, identity: Identity) -> None:
        """Raises Denied(PROCESSOR_NOT_LISTED) (rule R9); ConfigError when the processor's authority can't be read."""
        self.address = address
        self.processor = processor = processors.at(address)
        self.ready: frozenset[str] = frozenset()
        self.impostor = False
        self._missed = 0
        self._verified: frozenset[str] = frozenset()
        self._carried = False
        self._channel = _channel(address, processor, identity)
        self._server_ready = self._call("ServerReady", pb.ServerReadyRequest, pb.ServerReadyResponse)
        self._model_ready = self._call("ModelReady", pb.ModelReadyRequest, pb.ModelReadyResponse)
        self._model_metadata = self._call("ModelMetadata", pb.ModelMetadataRequest, pb.ModelMetadataResponse)
        # Bytes as they are: `wire` builds and reads them.
        self._server_metadata: Any = self._channel.unary_unary(f"{_SERVICE}ServerMetadata")
        self._infer: Any = self._channel.unary_unary(f"{_SERVICE}ModelInfer")

    def _call(self, name: str, request: Any, response: Any) -> Any:
        return self._channel.unary_unary(f"{_SERVICE}{name}", request.SerializeToString, response.FromString)

    # --- readiness ---

    def look(self) -> Callable[[], None]:
        """Asks whether it is ready. What is returned waits for the answers and takes them in."""
        server = self._server_ready.future(pb.ServerReadyRequest(), timeout=_LOOK_SECONDS)
        models = {
            name: self._model_ready.future(pb.ModelReadyRequest(name=name, version=version), timeout=_LOOK_SECONDS)
            for name, version in self.processor.models.items()
        }
        return lambda: self._take_in(server, models)

    def _take_in(self, server: Any, models: Mapping[str, Any]) -> None:
        says = {name: _Said.by(call) for name, call in models.items()} | {"": _Said.by(server)}
        self.impostor = _Said.SOMEBODY_ELSE in says.values()
        self._missed = self._missed + 1 if _Said.NOTHING in says.values() else 0
        if 0 < self._missed < _MOST_MISSED:
            return
        up = {name for name in models if says[name] is says[""] is _Said.YES}
        # A server that was away may be another one now: what it said of its models no longer counts.
        self._verified = frozenset(name for name in up if name in self._verified or self._is_ours(name))
        self.ready = self._verified

    def _is_ours(self, name: str) -> bool:
        """Whether it serves the network that we mean: before it is sent anything."""
        version = self.processor.models[name]
        try:
            metadata = self._model_metadata(pb.ModelMetadataRequest(name=name, version=version), timeout=_LOOK_SECONDS)
        except grpc.RpcError:
            return False
        if wire.serves(metadata, MODELS[name], version):
            return True
        _log.error("pool_model_differs", peer=self.address, fact=name)
        return False

    def gone(self) -> None:
        """It didn't answer: not asked any more until it says that it is ready."""
        self.ready = self._verified = frozenset()

    # --- inference ---

    def infer(self, request: bytes, *, timeout: float, cancelled: Cancelled) -> bytes:
        """ModelInferRequest to ModelInferResponse, both serialized. timeout: seconds.

        Raises Failed; ``mesh.errors.Cancelled`` within CANCEL_SECONDS of ``cancelled()``.
        """
        self._carried = True
        call = self._infer.future(request, timeout=timeout)
        done = threading.Event()
        call.add_done_callback(lambda _: done.set())
        while not done.wait(CANCEL_SECONDS):
            if cancelled():
                call.cancel()
                done.wait(_UNWIND_SECONDS)
                raise refusals.cancelled()
        if (code := call.code()) is not grpc.StatusCode.OK:
            raise Failed(code)
        answer: bytes = call.result()
        return answer

    # --- forgetting ---

    def rinse(self) -> bool:
        """Overwrites what the connection keeps of the last inference, in both directions. False: try again.

        The protocol has no call for that; its cheapest one with an answer serves: padded by a field that no server
        knows, and repeated until enough has come back. It isn't queued behind inferences.
        """
        if not self._carried:
            return True
        self._carried = False
        try:
            answer = self._server_metadata(_PADDING, timeout=_RINSE_SECONDS)
            times = min(-(-_RINSE_IN // max(len(answer), 1)), _MOST_RINSES)
            for call in [self._server_metadata.future(b"", timeout=_RINSE_SECONDS) for _ in range(times)]:
                call.result()
        except grpc.RpcError as error:
            # Without a connection there are no buffers. A server that refuses has read what it refused.
            if error.code() is not grpc.StatusCode.DEADLINE_EXCEEDED:
                return True
            self._carried = True
            return False
        return True

    def close(self) -> None:
        self._channel.close()


def _channel(address: str, processor: Processor, identity: Identity) -> grpc.Channel:
    """Mutual TLS by this service's certificate; the server must carry the pinned identity, signed by the pinned CA."""
    credentials = grpc.ssl_channel_credentials(processor.authority(), identity.key, identity.cert)
    return grpc.secure_channel(
        address,
        credentials,
        options=(
            *FLOW_CONTROL,
            ("grpc.ssl_target_name_override", processor.identity),
            ("grpc.default_authority", address),
            ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
            ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
            ("grpc.initial_reconnect_backoff_ms", 100),
            ("grpc.min_reconnect_backoff_ms", 1000),
            ("grpc.max_reconnect_backoff_ms", 1000),
            ("grpc.keepalive_time_ms", 20_000),
            ("grpc.keepalive_timeout_ms", 10_000),
            # gRPC's own retries keep what was sent, and don't know which servers were asked.
            ("grpc.enable_retries", 0),
            ("grpc.use_local_subchannel_pool", 1),
            # Nobody but the list says where photos go: no proxy of the environment, no configuration from DNS.
            ("grpc.enable_http_proxy", 0),
            ("grpc.service_config_disable_resolution", 1),
        ),
    )


class _Said(Enum):
    """What came of asking whether something is ready. NOTHING: no answer in time."""

    YES = auto()
    NO = auto()
    NOTHING = auto()
    SOMEBODY_ELSE = auto()

    @classmethod
    def by(cls, call: Any) -> _Said:
        try:
            return cls.YES if call.result().ready else cls.NO
        except grpc.FutureCancelledError:
            return cls.NO
        except grpc.RpcError as error:
            if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
                return cls.NOTHING
            # There is no code of its own for a certificate that isn't the pinned one. The words are gRPC's and
            # BoringSSL's: "Hostname Verification Check failed", "CERTIFICATE_VERIFY_FAILED".
            return cls.SOMEBODY_ELSE if "verif" in (error.details() or "").lower() else cls.NO
