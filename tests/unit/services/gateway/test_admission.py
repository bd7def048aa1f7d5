"""How many photos are let in."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry

from mesh.errors import Exhausted, Invalid
from services.gateway.admission import Admission
from services.gateway.metrics import GatewayMetrics

ONE, OTHER = b"1" * 32, b"2" * 32


class World:
    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        metrics = GatewayMetrics(self.registry)
        self.admission = Admission(max_photos=3, max_per_owner=2, max_photo_bytes=100, metrics=metrics)

    def value(self, name: str) -> float | None:
        return self.registry.get_sample_value(f"mayfly_gateway_photos_in_flight{name}")


@pytest.fixture
def world() -> World:
    return World()


def test_too_large_by_its_own_word(world: World) -> None:
    with pytest.raises(Invalid) as refusal:
        world.admission.admit(ONE, 101)
    assert (refusal.value.reason, refusal.value.limit) == ("PHOTO_TOO_LARGE", 100)
    with pytest.raises(Invalid):
        world.admission.admit(ONE, 2**64 - 1)
    with world.admission.admit(ONE, 100), world.admission.admit(ONE, 0):
        assert world.value("") == 2
    assert (world.value(""), world.value("_limit")) == (0, 3)


def test_one_owner_does_not_take_all_places(world: World) -> None:
    with world.admission.admit(ONE, 0), world.admission.admit(ONE, 0):
        with pytest.raises(Exhausted) as refusal:
            world.admission.admit(ONE, 0)
        assert (refusal.value.reason, refusal.value.retry_after) == ("OWNER_BUSY", 2.0)
        with world.admission.admit(OTHER, 0):
            with pytest.raises(Exhausted) as refusal:
                world.admission.admit(b"3" * 32, 0)
            assert refusal.value.reason == "GATEWAY_FULL"
    assert world.value("") == 0
    assert not world.admission._owners, "owners who have gone are forgotten"


def test_a_place_is_given_back_after_a_failure(world: World) -> None:
    for _ in range(10):
        with pytest.raises(KeyError), world.admission.admit(ONE, 0):
            raise KeyError
    assert world.value("") == 0
