"""A KServe server in this process that misbehaves as a test tells it to, over mutual TLS. For faults only: what works
is tested against a real server (tests/triton)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import numpy as np
from prometheus_client import CollectorRegistry

from clients.local.authority import KeyPair
from mayfly.inference import grpc_service_pb2 as pb
from mayfly.inference import grpc_service_pb2_grpc as stubs
from mesh.clock import SystemClock
from mesh.identity import Identity
from services.render.engines.triton import processors
from services.render.engines.triton.contract import DATATYPE, MODELS
from services.render.engines.triton.metrics import PoolMetrics
from services.render.engines.triton.pool import Pool
from services.render.engines.triton.processors import Processors
from tests.triton.server import IDENTITY, Authority, processors_file
from tests.unit import serving
from tests.unit.serving import authority

Answer = Callable[[pb.ModelInferRequest, Any], pb.ModelInferResponse]


def honest(request: pb.ModelInferRequest, _context: Any) -> pb.ModelInferResponse:
    """The first input, as the output: in the right shape for `stylize`, and for `cut_out` its first channel."""
    model = MODELS[request.model_name]
    image = np.frombuffer(request.raw_input_contents[0], "<f4").reshape(tuple(request.inputs[0].shape))
    out = image if model.name == "stylize" else image[:, :1]
    answer = pb.ModelInferResponse(model_name=model.name, model_version=request.model_version)
    answer.outputs.add(name=model.output.name, datatype=DATATYPE, shape=out.shape)
    answer.raw_output_contents.append(out.tobytes())
    return answer


class Double(stubs.GRPCInferenceServiceServicer):
    """infer: what it does when asked. asked: how often that was. ready: what it says of itself."""

    def __init__(self, authority: Authority, pair: KeyPair | None = None, *, client_ca: str = "ours") -> None:
        self.infer: Answer = honest
        self.metadata: Callable[[pb.ModelMetadataResponse], None] = lambda _: None
        self.ready = True
        self.asked = 0
        self.entered = threading.Event()
        self._hang, self._hung = 0, threading.Event()
        pair = pair or authority.leaf()
        self._server = grpc.server(
            ThreadPoolExecutor(8), options=(("grpc.so_reuseport", 0), ("grpc.max_receive_message_length", 32 << 20))
        )
        stubs.add_GRPCInferenceServiceServicer_to_server(self, self._server)
        credentials = grpc.ssl_server_credentials(
            [(pair.key_pem(), pair.certificate_pem())], _ca(client_ca), require_client_auth=True
        )
        self.address = f"127.0.0.1:{self._server.add_secure_port('127.0.0.1:0', credentials)}"
        self._server.start()

    def stop(self) -> None:
        """At once: calls that run are cut off."""
        self._server.stop(0).wait()

    def hang(self, looks: int) -> threading.Event:
        """So many questions about readiness get no answer. Set when the last of them is given up."""
        self._hang, ended = looks, threading.Event()
        self._hung = ended
        return ended

    def ServerReady(self, request: Any, context: Any) -> pb.ServerReadyResponse:
        if self._hang:
            self._hang -= 1
            last, gone = self._hang == 0, threading.Event()
            context.add_callback(gone.set)
            gone.wait(30)
            if last:
                self._hung.set()
        return pb.ServerReadyResponse(ready=self.ready)

    def ModelReady(self, request: Any, context: Any) -> pb.ModelReadyResponse:
        return pb.ModelReadyResponse(ready=self.ready)

    def ServerMetadata(self, request: Any, context: Any) -> pb.ServerMetadataResponse:
        return pb.ServerMetadataResponse(name="double", version="1")

    def ModelMetadata(self, request: Any, context: Any) -> pb.ModelMetadataResponse:
        model = MODELS[request.name]
        answer = pb.ModelMetadataResponse(name=model.name, versions=["1"])
        for tensor in model.inputs:
            answer.inputs.add(name=tensor.name, datatype=DATATYPE, shape=tensor.shape)
        answer.outputs.add(name=model.output.name, datatype=DATATYPE, shape=model.output.shape)
        self.metadata(answer)
        return answer

    def ModelInfer(self, request: pb.ModelInferRequest, context: Any) -> pb.ModelInferResponse:
        self.asked += 1
        self.entered.set()
        return self.infer(request, context)


def _ca(name: str) -> bytes:
    return authority(name).certificate_pem()


def new_pool(listed: Processors, *, call_seconds: float = 30.0, identity: Identity | None = None) -> Pool:
    """Not started; shows its endpoints the identity of a render service, by default."""
    return Pool(
        listed,
        identity=identity or serving.identity("render"),
        metrics=PoolMetrics(CollectorRegistry()),
        clock=SystemClock(),
        call_seconds=call_seconds,
    )


@contextmanager
def pool_of(
    folder: Path, ca: Path, endpoints: Sequence[str], *, name: str = IDENTITY, call_seconds: float = 30.0
) -> Iterator[Pool]:
    """A started pool of these endpoints."""
    listed = processors.load(processors_file(folder, ca=ca, endpoints=endpoints, identity=name))
    pool = new_pool(listed, call_seconds=call_seconds)
    pool.start()
    try:
        yield pool
    finally:
        pool.close()
