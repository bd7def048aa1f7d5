"""Inferences as messages of the Open Inference Protocol: tensors as raw contents, and every answer checked."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from google.protobuf.message import DecodeError

from mayfly.inference import grpc_service_pb2 as pb
from mesh.frames import encode_varint
from services.render.engines.triton.contract import DATATYPE, Model
from services.render.steps.pixels import Array

_RAW = bytes((7 << 3 | 2,))  # the tag of ModelInferRequest.raw_input_contents
_ELEMENT = np.dtype("<f4")


class Nonsense(Exception):
    """An answer that isn't one. The argument: what is wrong with it, as a constant word."""


def request(model: Model, version: str, inputs: Sequence[Array]) -> bytes:
    """ModelInferRequest, serialized. inputs: in the model's order, batch first.

    The tensors are the message's last field, and are appended to the rest: one copy, where building the message and
    then serializing it takes three.
    """
    head = pb.ModelInferRequest(
        model_name=model.name,
        model_version=version,
        inputs=[
            pb.ModelInferRequest.InferInputTensor(name=tensor.name, datatype=DATATYPE, shape=array.shape)
            for tensor, array in zip(model.inputs, inputs, strict=True)
        ],
        outputs=[pb.ModelInferRequest.InferRequestedOutputTensor(name=model.output.name)],
    )
    pieces: list[bytes | memoryview] = [head.SerializeToString()]
    for array in inputs:
        raw = np.ascontiguousarray(array, _ELEMENT)
        pieces += [_RAW, encode_varint(raw.nbytes), raw.data.cast("B")]
    return b"".join(pieces)


def answer(raw: bytes, model: Model, version: str, shape: tuple[int, ...]) -> Array:
    """The model's output, read-only, which must have ``shape``. Raises Nonsense."""
    try:
        message = pb.ModelInferResponse.FromString(raw)
    except DecodeError:
        raise Nonsense("malformed") from None
    if (message.model_name, message.model_version) != (model.name, version):
        raise Nonsense("model")
    if len(message.outputs) != 1 or len(message.raw_output_contents) != 1:
        raise Nonsense("outputs")
    output = message.outputs[0]
    if (output.name, output.datatype) != (model.output.name, DATATYPE):
        raise Nonsense("tensor")
    if tuple(output.shape) != shape:
        raise Nonsense("shape")
    content = message.raw_output_contents[0]
    if len(content) != math.prod(shape) * _ELEMENT.itemsize:
        raise Nonsense("size")
    values = np.frombuffer(content, _ELEMENT).reshape(shape)
    if not np.isfinite(values).all():
        raise Nonsense("not_finite")
    return values


def serves(metadata: pb.ModelMetadataResponse, model: Model, version: str) -> bool:
    """Whether what a server says of a model is the contract. It may have more outputs: they aren't asked for."""
    inputs, outputs = _tensors(metadata.inputs), _tensors(metadata.outputs)
    return (
        metadata.name == model.name
        and version in metadata.versions
        and inputs == {tensor.name: (DATATYPE, tensor.shape) for tensor in model.inputs}
        and outputs.get(model.output.name) == (DATATYPE, model.output.shape)
    )


def _tensors(
    described: Sequence[pb.ModelMetadataResponse.TensorMetadata],
) -> dict[str, tuple[str, tuple[int, ...]]]:
    """By name: servers list them in any order."""
    return {tensor.name: (tensor.datatype, tuple(tensor.shape)) for tensor in described}
