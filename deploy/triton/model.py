"""Triton's Python backend: one of our networks by onnxruntime, for batches. Each model's folder has a copy of it.

Runs in Triton's own environment, which has numpy and onnxruntime and nothing of ours. What it is to do stands in the
model's config.pbtxt: `network` is the file beside it; inputs are the network's, in its order; its first output is the
answer; `shared` names the inputs of which a run takes one for all pictures.
"""

import json
from collections import defaultdict
from pathlib import Path

import numpy as np
import onnxruntime as ort
import triton_python_backend_utils as triton


class TritonPythonModel:
    def initialize(self, args):
        config = json.loads(args["model_config"])
        told = {key: value["string_value"] for key, value in config.get("parameters", {}).items()}
        path = Path(args["model_repository"]) / args["model_version"] / told["network"]
        self._session = _session(path, int(told.get("threads", "1")))
        self._feeds = [tensor.name for tensor in self._session.get_inputs()]
        self._fetch = [self._session.get_outputs()[0].name]
        self._inputs = [tensor["name"] for tensor in config["input"]]
        self._output = config["output"][0]["name"]
        self._shared = {name for name in self._inputs if name in told.get("shared", "").split(",")}
        # A network whose batch is fixed sees the batch's pictures one by one.
        self._batches = not isinstance(self._session.get_inputs()[0].shape[0], int)

    def execute(self, requests):
        """Requests that Triton has gathered, in any mixture. One response each, in their order."""
        responses = [None] * len(requests)
        groups = defaultdict(list)
        for at, request in enumerate(requests):
            if request.is_cancelled():
                responses[at] = _failed("cancelled", triton.TritonError.CANCELLED)
                continue
            tensors = {name: triton.get_input_tensor_by_name(request, name).as_numpy() for name in self._inputs}
            groups[self._kind(tensors)].append((at, tensors))
        for members in groups.values():
            for at, answer in self._answers(members):
                responses[at] = answer
        return responses

    def _kind(self, tensors):
        """What must be equal for pictures to share a run."""
        sizes = tuple(tensor.shape[1:] for tensor in tensors.values())
        return sizes, tuple(tensors[name].tobytes() for name in sorted(self._shared))

    def _answers(self, members):
        try:
            outputs = self._run([tensors for _, tensors in members])
        except Exception as error:
            # Neither a value of a picture nor a path: only what kind of failure it was.
            return [(at, _failed(type(error).__name__, triton.TritonError.INTERNAL)) for at, _ in members]
        tensors = [triton.Tensor(self._output, output) for output in outputs]
        return [(at, triton.InferenceResponse([tensor])) for (at, _), tensor in zip(members, tensors, strict=True)]

    def _run(self, members):
        counts = [next(iter(tensors.values())).shape[0] for tensors in members]
        whole = {
            name: members[0][name][0] if name in self._shared else np.concatenate([each[name] for each in members])
            for name in self._inputs
        }
        if self._batches:
            out = self._once(whole)
        else:
            pieces = range(sum(counts))
            out = np.concatenate(
                [
                    self._once(
                        {name: value if name in self._shared else value[at : at + 1] for name, value in whole.items()}
                    )
                    for at in pieces
                ]
            )
        return np.split(out, np.cumsum(counts)[:-1])

    def _once(self, tensors):
        feed = {feed: np.ascontiguousarray(tensors[name]) for feed, name in zip(self._feeds, self._inputs, strict=True)}
        return np.asarray(self._session.run(self._fetch, feed)[0], np.float32)


def _failed(word, code):
    return triton.InferenceResponse(error=triton.TritonError(word, code))


def _session(path, threads):
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # An arena and a memory pattern keep blocks, and with them pixels, after a run.
    options.enable_cpu_mem_arena = False
    options.enable_mem_pattern = False
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
