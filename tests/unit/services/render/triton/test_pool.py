"""A pool that fails: what a job hears, whom else is asked, and how soon its thread is free."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from mayfly.inference import grpc_service_pb2 as pb
from mesh.errors import Cancelled, Denied, MeshError, Overdue, Unavailable
from mesh.testing.wait import eventually
from services.render.engines.triton import processors
from services.render.engines.triton.endpoint import Endpoint
from services.render.engines.triton.networks import PoolNetworks
from services.render.engines.triton.pool import Pool
from tests.triton.server import IDENTITY, Authority, processors_file
from tests.unit.services.render.triton.doubles import Double, honest, pool_of
from tests.unit.serving import identity

IMAGE = np.random.default_rng(1).random((10, 13, 3), np.float32)
STYLE = (1.0, *([0.0] * 25))


@pytest.fixture(scope="module")
def operator(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def double(operator: Authority) -> Iterator[Double]:
    made = Double(operator)
    yield made
    made.stop()


@pytest.fixture
def pool(double: Double, operator: Authority, tmp_path: Path) -> Iterator[Pool]:
    with pool_of(tmp_path, operator.ca, [double.address]) as started:
        yield started


def _fails(code: grpc.StatusCode) -> Callable[[Any, Any], Any]:
    return lambda request, context: context.abort(code, "a picture's value that nobody is to hear: 0.1234")


def impostors(pool: Pool) -> float:
    names = {endpoint.processor.name for endpoint in pool._endpoints}
    children = [pool._metrics.impostors.labels(name) for name in names]
    return sum(sample.value for child in children for family in child.collect() for sample in family.samples)


def _refusal(pool: Pool, **more: Any) -> MeshError:
    with pytest.raises(MeshError) as error:
        PoolNetworks(pool, **more).stylize(IMAGE, STYLE)
    assert "0.1234" not in str(error.value)
    return error.value


# --- what works, so that what follows is a fault's doing ---


def test_tensors_go_over_and_come_back(pool: Pool, double: Double) -> None:
    seen: list[pb.ModelInferRequest] = []
    double.infer = lambda request, context: (seen.append(request), honest(request, context))[1]
    assert pool.ready()
    assert np.array_equal(PoolNetworks(pool).stylize(IMAGE, STYLE), IMAGE)
    square = np.zeros((320, 320, 3), np.float32)
    assert PoolNetworks(pool).cut_out(square).shape == (320, 320)
    first = seen[0]
    assert [tuple(tensor.shape) for tensor in first.inputs] == [(1, 3, 12, 16), (1, 26)], "padded to multiples of 4"
    assert [len(raw) for raw in first.raw_input_contents] == [4 * 3 * 12 * 16, 4 * 26]
    assert (first.model_name, first.model_version, first.id, dict(first.parameters)) == ("stylize", "1", "", {})
    assert not any(tensor.HasField("contents") for tensor in first.inputs)


# --- errors ---


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "POOL_BUSY"),
        (grpc.StatusCode.INTERNAL, "POOL_FAILED"),
        (grpc.StatusCode.INVALID_ARGUMENT, "POOL_FAILED"),
        (grpc.StatusCode.CANCELLED, "POOL_FAILED"),
        (grpc.StatusCode.UNAVAILABLE, "POOL_AWAY"),
    ],
)
def test_an_error_of_the_pool_is_one_that_can_be_tried_again(
    pool: Pool, double: Double, code: grpc.StatusCode, reason: str
) -> None:
    double.infer = _fails(code)
    error = _refusal(pool)
    assert isinstance(error, Unavailable)
    assert error.reason == reason
    assert error.retry_after
    assert double.asked == 1, "nobody is asked twice"


def _spoilt(spoil: Callable[[pb.ModelInferResponse], object]) -> Callable[[Any, Any], Any]:
    def answer(request: pb.ModelInferRequest, context: Any) -> pb.ModelInferResponse:
        response = honest(request, context)
        spoil(response)
        return response

    return answer


def _value(response: pb.ModelInferResponse, value: float) -> None:
    raw = bytearray(response.raw_output_contents[0])
    raw[-4:] = np.float32(value).tobytes()
    response.raw_output_contents[0] = bytes(raw)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda response: response.Clear(),
        lambda response: setattr(response, "model_name", "cut_out"),
        lambda response: setattr(response, "model_version", "2"),
        lambda response: setattr(response.outputs[0], "name", "other"),
        lambda response: setattr(response.outputs[0], "datatype", "FP16"),
        lambda response: response.outputs[0].shape.__setitem__(3, 12),
        lambda response: response.outputs[0].shape.append(1),
        lambda response: response.raw_output_contents.__setitem__(0, response.raw_output_contents[0][:-4]),
        lambda response: response.raw_output_contents.append(b""),
        lambda response: response.outputs.add(),
        lambda response: _value(response, math.nan),
        lambda response: _value(response, math.inf),
    ],
    ids=[
        "empty", "model", "version", "name", "datatype", "shape", "rank", "too few bytes", "too many tensors",
        "an output too many", "nan", "inf",
    ],
)  # fmt: skip
def test_an_answer_that_is_none_is_refused(pool: Pool, double: Double, spoil: Callable[..., object]) -> None:
    double.infer = _spoilt(spoil)
    error = _refusal(pool)
    assert (type(error), error.reason) == (Unavailable, "POOL_ANSWERED_NONSENSE")


# --- who else is asked ---


async def test_another_endpoint_is_asked_when_one_goes_away_unanswered(operator: Authority, tmp_path: Path) -> None:
    doubles = [Double(operator), Double(operator)]
    with pool_of(tmp_path, operator.ca, [each.address for each in doubles]) as pool:
        bad = doubles[0]
        bad.infer = _fails(grpc.StatusCode.UNAVAILABLE)
        for _ in range(4):
            assert np.array_equal(PoolNetworks(pool).stylize(IMAGE, STYLE), IMAGE)
        assert bad.asked >= 1
        assert doubles[1].asked == 4
        doubles[1].infer = _fails(grpc.StatusCode.UNAVAILABLE)
        assert _refusal(pool).reason == "POOL_AWAY"
    for each in doubles:
        each.stop()


def test_work_goes_round(operator: Authority, tmp_path: Path) -> None:
    doubles = [Double(operator), Double(operator)]
    with pool_of(tmp_path, operator.ca, [each.address for each in doubles]) as pool:
        for _ in range(6):
            PoolNetworks(pool).stylize(IMAGE, STYLE)
    assert [each.asked for each in doubles] == [3, 3]
    for each in doubles:
        each.stop()


def test_an_answered_failure_is_nobody_else_s(operator: Authority, tmp_path: Path) -> None:
    doubles = [Double(operator), Double(operator)]
    for each in doubles:
        each.infer = _fails(grpc.StatusCode.INTERNAL)
    with pool_of(tmp_path, operator.ca, [each.address for each in doubles]) as pool:
        assert _refusal(pool).reason == "POOL_FAILED"
    assert sum(each.asked for each in doubles) == 1
    for each in doubles:
        each.stop()


async def test_a_pool_that_goes_is_not_ready_and_comes_back(pool: Pool, double: Double) -> None:
    double.ready = False
    await eventually(lambda: not pool.ready())
    assert _refusal(pool).reason == "POOL_AWAY"
    assert double.asked == 0
    double.ready = True
    await eventually(pool.ready)


async def test_a_network_that_isnt_ours_is_sent_nothing(double: Double, operator: Authority, tmp_path: Path) -> None:
    double.metadata = lambda answer: answer.inputs[0].shape.__setitem__(1, 4)
    with pool_of(tmp_path, operator.ca, [double.address]) as pool:
        assert not pool.ready()
        assert _refusal(pool).reason == "POOL_AWAY"
        double.metadata = lambda answer: None
        await eventually(pool.ready)
    assert double.asked == 0


# --- who is who (rule R9) ---


def test_an_unlisted_endpoint_is_never_connected_to(double: Double, operator: Authority, tmp_path: Path) -> None:
    listed = processors.load(processors_file(tmp_path, ca=operator.ca, endpoints=["127.0.0.1:1"]))
    with pytest.raises(Denied, match="PROCESSOR_NOT_LISTED"):
        Endpoint(double.address, listed, identity("render"))


@pytest.mark.parametrize(
    ("name", "is_it"),
    [
        (IDENTITY, True),
        (f"other.{IDENTITY}", False),
        (IDENTITY.partition(".")[2], False),
    ],
)
def test_a_server_must_carry_the_pinned_identity(
    double: Double, operator: Authority, tmp_path: Path, name: str, is_it: bool
) -> None:
    with pool_of(tmp_path, operator.ca, [double.address], name=name) as pool:
        assert pool.ready() is is_it
        assert impostors(pool) == (0 if is_it else 1)
        if not is_it:
            assert _refusal(pool).reason == "POOL_AWAY"
    assert double.asked == 0


def test_a_server_of_another_authority_is_nobody(double: Double, tmp_path: Path) -> None:
    other = Authority(tmp_path / "other")
    with pool_of(tmp_path, other.ca, [double.address]) as pool:
        assert not pool.ready()
        assert impostors(pool) == 1


def test_who_is_only_away_is_no_impostor(double: Double, operator: Authority, tmp_path: Path) -> None:
    double.stop()
    with pool_of(tmp_path, operator.ca, [double.address]) as pool:
        assert not pool.ready()
        assert impostors(pool) == 0


async def test_a_server_that_is_slow_to_say_so_is_ready_still(pool: Pool, double: Double) -> None:
    """A busy one. One that says nothing any more is away all the same."""
    looked = double.hang(looks=1)
    await eventually(looked.is_set, within=10)
    assert pool.ready()
    double.hang(looks=1000)
    await eventually(lambda: not pool.ready(), within=20)


def test_a_server_that_doesnt_trust_the_mesh_is_no_use(operator: Authority, tmp_path: Path) -> None:
    double = Double(operator, client_ca="another")
    with pool_of(tmp_path, operator.ca, [double.address]) as pool:
        assert not pool.ready()
    double.stop()


# --- time ---


class Held:
    """Inferences that don't end until they are let go."""

    def __init__(self, double: Double) -> None:
        self.release = threading.Event()
        self.cut_off = threading.Event()
        double.infer = self._answer

    def _answer(self, request: pb.ModelInferRequest, context: Any) -> pb.ModelInferResponse:
        context.add_callback(self.cut_off.set)
        self.release.wait(30)
        return honest(request, context)


@pytest.fixture
def held(double: Double) -> Iterator[Held]:
    made = Held(double)
    yield made
    made.release.set()


def test_a_job_that_is_taken_back_frees_its_thread_while_the_pool_still_works(
    pool: Pool, double: Double, held: Held
) -> None:
    taken_back = threading.Event()
    with ThreadPoolExecutor(1) as threads:
        job = threads.submit(PoolNetworks(pool, cancelled=taken_back.is_set).stylize, IMAGE, STYLE)
        assert double.entered.wait(10)
        taken_back.set()
        with pytest.raises(Cancelled):
            job.result(10)
        assert held.cut_off.wait(10), "and the pool is told"
        assert not held.release.is_set()


def test_a_job_is_not_waited_for_beyond_its_lease(pool: Pool, held: Held) -> None:
    error = _refusal(pool, deadline=time.monotonic() + 0.3)
    assert (type(error), error.reason) == (Overdue, "LEASE_EXPIRED")
    assert held.cut_off.wait(10)


def test_a_job_whose_lease_is_over_is_not_sent(pool: Pool, double: Double) -> None:
    assert isinstance(_refusal(pool, deadline=time.monotonic()), Overdue)
    assert double.asked == 0


def test_an_inference_has_its_own_limit(double: Double, operator: Authority, tmp_path: Path, held: Held) -> None:
    with pool_of(tmp_path, operator.ca, [double.address], call_seconds=0.3) as pool:
        error = _refusal(pool, deadline=time.monotonic() + 60)
        assert (type(error), error.reason) == (Unavailable, "POOL_TOO_SLOW")


async def test_a_server_that_dies_at_work_is_away_at_once(pool: Pool, double: Double, held: Held) -> None:
    with ThreadPoolExecutor(1) as threads:
        job = threads.submit(_refusal, pool)
        assert double.entered.wait(10)
        double.stop()
        assert job.result(10).reason == "POOL_AWAY"
    assert not pool.ready()
