"""Sentinels that tests start agree with each other, also on a machine that stalls meanwhile."""

from __future__ import annotations

import threading

import pytest

from mesh.testing.sentinels import Sentinels
from tests.unit.services.purge.redises import USERS, VALKEY

STALL = 1.6  # seconds: more than the sentinels wait for a primary once they have formed


def test_a_primary_that_stalls_while_they_form_stays_the_primary(monkeypatch: pytest.MonkeyPatch) -> None:
    sentinels = Sentinels(USERS, VALKEY)
    primary, formed = sentinels.servers[0], sentinels._formed
    stall = threading.Timer(STALL, primary.resume)

    def formed_after_a_stall() -> bool:
        if stall.ident is None and formed():
            primary.pause()
            stall.start()
        return stall.finished.is_set() and formed()

    monkeypatch.setattr(sentinels, "_formed", formed_after_a_stall)
    with sentinels:
        assert sentinels.primary() is primary


def test_a_sentinel_that_ends_is_said_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    sentinels = Sentinels(USERS, VALKEY)
    monkeypatch.setattr(sentinels, "_listen", lambda port: [f"port {port}", "no-such-setting 1"])
    with pytest.raises(RuntimeError, match=r"did not answer: (.|\n)*no-such-setting"):
        sentinels.__enter__()
