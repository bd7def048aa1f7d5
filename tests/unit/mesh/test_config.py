"""Settings: what is wrong is said in one line that names the variable, and never what stood in it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import pytest
from pydantic import Field

from mesh.config import Addresses, MeshSettings, load
from mesh.errors import ConfigError
from tests.unit.serving import CANARY


class Settings(MeshSettings):
    ingest_size: Annotated[int, Field(ge=1, le=10)] = 5


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """A complete one."""
    file = tmp_path / "file.pem"
    file.write_text("pem")
    for name in ("TLS_CERT", "TLS_KEY", "TLS_CA"):
        monkeypatch.setenv(f"MAYFLY_{name}", str(file))
    monkeypatch.setenv("MAYFLY_LISTEN", "127.0.0.1:0")
    monkeypatch.setenv("MAYFLY_OPS_LISTEN", "[::1]:9000")
    return monkeypatch


def complaint(service: str = "ingest") -> str:
    with pytest.raises(ConfigError) as error:
        load(Settings, service)
    text = str(error.value)
    assert "\n" not in text
    return text


def test_defaults(environment: pytest.MonkeyPatch) -> None:
    settings = load(Settings, "ingest")
    assert (settings.instance, settings.ingest_size, settings.trust_domain) == ("ingest-0", 5, "mayfly.local")
    assert settings.reflection is False


def test_an_instance_of_its_own(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("MAYFLY_INSTANCE", "ingest-7.eu")
    assert load(Settings, "ingest").instance == "ingest-7.eu"


def test_settings_do_not_change(environment: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="frozen"):
        load(Settings, "ingest").listen = "x:1"


@pytest.mark.parametrize("name", ["LISTEN", "OPS_LISTEN", "TLS_CERT", "TLS_KEY", "TLS_CA"])
def test_missing(environment: pytest.MonkeyPatch, name: str) -> None:
    environment.delenv(f"MAYFLY_{name}")
    assert complaint() == f"MAYFLY_{name}: is not set"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LISTEN", "localhost"),
        ("LISTEN", ":80"),
        ("LISTEN", "127.0.0.1:65536"),
        ("LISTEN", "127.0.0.1:80\n"),
        ("LISTEN", "127.0.0.1:٣٣"),
        ("LISTEN", ""),
        ("LISTEN", f"{CANARY} :1"),
        ("OPS_LISTEN", "::1:9000"),
        ("INSTANCE", "Ingest 0"),
        ("INSTANCE", "-0"),
        ("INSTANCE", "ingest-0\n"),
        ("INSTANCE", "x" * 64),
        ("TLS_CERT", f"/no/such/{CANARY}"),
        ("TLS_KEY", "/"),
        ("REFLECTION", CANARY),
        ("DRAIN_SECONDS", "-1"),
        ("DRAIN_SECONDS", "nan"),
        ("DRAIN_SECONDS", CANARY),
        ("MAX_CONCURRENT_STREAMS", "0"),
        ("INGEST_SIZE", "11"),
        ("INGEST_SIZE", CANARY),
        ("TRACING", CANARY),
        ("TRACING", "OTLP"),
        ("TRACING_ENDPOINT", "http://collector:4317"),
        ("TRACING_RATIO", "1.01"),
        ("TRACING_RATIO", "nan"),
        ("TRACING_CA", f"/no/such/{CANARY}"),
    ],
)
def test_malformed(environment: pytest.MonkeyPatch, name: str, value: str) -> None:
    environment.setenv(f"MAYFLY_{name}", value)
    text = complaint()
    assert text.startswith(f"MAYFLY_{name}: ")
    assert CANARY not in text


@pytest.mark.parametrize("name", ["MAYFLY_INGEST_SIZ", "MAYFLY_INGEST_", "mayfly_ingest_sizes", "MAYFLY_TRACING_RATE"])
def test_a_misspelt_variable(environment: pytest.MonkeyPatch, name: str) -> None:
    environment.setenv(name, "1")
    assert complaint() == f"{name}: no such setting"


def test_other_services_variables_are_none_of_its_business(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("MAYFLY_RENDER_SLOTZ", "1")
    environment.setenv("MAYFLY_INGESTION", "1")
    load(Settings, "ingest")


def test_a_dotenv_file_is_not_read(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    environment.chdir(tmp_path)
    (tmp_path / ".env").write_text("MAYFLY_INGEST_SIZE=9\n")
    assert load(Settings, "ingest").ingest_size == 5


class Attending(MeshSettings):
    registry_target: Addresses


@pytest.mark.parametrize(
    ("value", "addresses"),
    [
        ("purge:9000", ("purge:9000",)),
        ("purge-0:9000,purge-1:9000", ("purge-0:9000", "purge-1:9000")),
        (" [::1]:1 , b:2 ", ("[::1]:1", "b:2")),
    ],
)
def test_several_addresses(environment: pytest.MonkeyPatch, value: str, addresses: tuple[str, ...]) -> None:
    environment.setenv("MAYFLY_REGISTRY_TARGET", value)
    assert load(Attending, "purge").registry_target == addresses


@pytest.mark.parametrize(
    "value", ["", ",", "a:1,", "a:1,,b:2", "a:1,a:1", "a", "a:1;b:2", ",".join(f"a:{n}" for n in range(17))]
)
def test_addresses_that_are_none(environment: pytest.MonkeyPatch, value: str) -> None:
    environment.setenv("MAYFLY_REGISTRY_TARGET", value)
    with pytest.raises(ConfigError, match=r"^MAYFLY_REGISTRY_TARGET: must be "):
        load(Attending, "purge")


@pytest.mark.parametrize("address", ["0.0.0.0:9100", "[::]:9100", "10.1.2.3:9100", "ingest:9100"])
def test_an_ops_port_that_others_reach_is_refused_unless_by_mutual_tls(
    environment: pytest.MonkeyPatch, address: str
) -> None:
    environment.setenv("MAYFLY_OPS_LISTEN", address)
    assert complaint().startswith("MAYFLY_OPS_TLS: must be `mutual` where MAYFLY_OPS_LISTEN is not on loopback")
    environment.setenv("MAYFLY_OPS_TLS", "mutual")
    assert not load(Settings, "ingest").ops_is_open
    environment.setenv("MAYFLY_OPS_TLS", "insecure")
    assert load(Settings, "ingest").ops_is_open
    environment.setenv("MAYFLY_OPS_TLS", "none")
    assert complaint().startswith("MAYFLY_OPS_TLS: ")


@pytest.mark.parametrize("address", ["127.0.0.1:9100", "127.1.2.3:9100", "[::1]:9100", "localhost:9100"])
def test_an_ops_port_on_loopback_may_be_plain(environment: pytest.MonkeyPatch, address: str) -> None:
    environment.setenv("MAYFLY_OPS_LISTEN", address)
    assert load(Settings, "ingest").ops_tls == "loopback"
    environment.setenv("MAYFLY_OPS_TLS", "insecure")
    assert not load(Settings, "ingest").ops_is_open
