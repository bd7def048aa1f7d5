"""What an assembled service says of its lockdown: in metrics, and to purge for its receipts."""

from __future__ import annotations

from pathlib import Path

import pytest

from clients.local.pki import Pki
from mesh.assembly import Assembly
from mesh.config import MeshSettings
from mesh.errors import ConfigError
from mesh.lockdown.locking import Lockdown


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> MeshSettings:
    pki = Pki(tmp_path_factory.mktemp("pki"))
    pki.ensure()
    return MeshSettings(
        listen="127.0.0.1:0",
        ops_listen="127.0.0.1:0",
        tls_cert=pki.certificate("ingest"),
        tls_key=pki.key("ingest"),
        tls_ca=Path(pki.ca),
    )


def in_metrics(parts: Assembly) -> dict[str, float]:
    return {
        sample.labels["control"]: sample.value
        for family in parts.metrics.registry.collect()
        for sample in family.samples
        if sample.name == "mayfly_lockdown_control"
    }


def test_permissive_is_said_in_receipts_and_what_is_missing_in_metrics(settings: MeshSettings) -> None:
    parts = Assembly("ingest", settings, Lockdown("permissive", {"seccomp": True, "landlock_tcp": False}))
    assert parts.controls_in_force == ["seccomp", "lockdown_permissive"]
    found = in_metrics(parts)
    assert (found["seccomp"], found["landlock_tcp"], found["no_swap"]) == (1, 0, 0)
    assert found["lockdown_permissive"] == 1
    assert in_metrics(Assembly("ingest", settings, Lockdown("strict", {"seccomp": True})))["lockdown_permissive"] == 0


@pytest.mark.parametrize(("held_at_first", "failing"), [(True, ["lockdown"]), (False, [])])
async def test_swap_that_appears_later_takes_a_process_out_of_service(
    settings: MeshSettings, monkeypatch: pytest.MonkeyPatch, *, held_at_first: bool, failing: list[str]
) -> None:
    """Its receipts would go on saying no_swap. Where they never did, nothing changes."""
    swaps = {"off": True}
    for question in ("is_off", "is_barred", "are_locked"):
        monkeypatch.setattr(f"mesh.lockdown.locking.swap.{question}", lambda: swaps["off"])
    monkeypatch.setattr(Lockdown, "end_listening", lambda _: {"no_more_listening": True})
    parts = Assembly("ingest", settings, Lockdown("permissive", {"no_swap": held_at_first}))
    assert parts.health.failing() == ["lockdown"]  # its servers don't listen yet
    parts.all_listen()
    assert parts.health.failing() == []
    assert in_metrics(parts)["no_more_listening"] == 1
    swaps["off"] = False
    assert parts.health.failing() == failing


def test_decoders_controls_join_and_strict_insists(settings: MeshSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = Assembly("ingest", settings, Lockdown("strict", {"seccomp": True}))
    parts.isolate()
    assert parts.controls_in_force == ["seccomp", "decoders_landlock", "decoders_seccomp"]
    monkeypatch.setattr("mesh.isolation.policy.available", lambda: {"decoders_landlock": False})
    with pytest.raises(ConfigError, match="incomplete without decoders_landlock"):
        parts.isolate()
