"""Scenes that change under a running render: all of it is taken or none, and what was wrong is said."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path
from signal import raise_signal

import pytest
from prometheus_client import CollectorRegistry

from mesh.testing.wait import eventually
from services.render.catalogue import BUILTIN, Catalogue
from services.render.metrics import RenderMetrics
from services.render.rereading import Rereading


class World:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.registry = CollectorRegistry()
        self.served = Catalogue.load(own=folder)
        self.built_in = len(self.served.scenes())
        self.reads = 0
        self.rereading = Rereading(self.served, self._load, RenderMetrics(self.registry))

    def _load(self) -> Catalogue:
        self.reads += 1
        return Catalogue.load(own=self.folder)

    def lay(self, scene_id: str, *, title: str = "Bright day") -> None:
        shutil.copytree(BUILTIN / "bright_day", self.folder / scene_id, dirs_exist_ok=True)
        file = self.folder / scene_id / "scene.toml"
        file.write_text((BUILTIN / "bright_day" / "scene.toml").read_text().replace("Bright day", title))

    async def reread(self) -> None:
        reads = self.reads
        raise_signal(signal.SIGHUP)
        await eventually(lambda: self.reads > reads)
        await self.rereading.stop()
        await self.rereading.start()

    def value(self, name: str) -> float | None:
        return self.registry.get_sample_value(f"mayfly_render_{name}")


@pytest.fixture
async def world(tmp_path: Path):
    world = World(tmp_path)
    await world.rereading.start()
    yield world
    await world.rereading.stop()


async def test_a_folder_that_is_dropped_in_is_served(world: World) -> None:
    before = world.served.edition
    world.lay("odd")
    assert len(world.served.scenes()) == world.built_in
    await world.reread()
    assert world.served.get("odd").title["en"] == "Bright day"
    assert world.served.edition != before
    assert (world.value("scenes"), world.value("scenes_refused")) == (world.built_in + 1, 0)
    shutil.rmtree(world.folder / "odd")
    await world.reread()
    assert (world.served.edition, world.value("scenes")) == (before, world.built_in)


async def test_one_that_is_broken_changes_nothing_and_is_named(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    world.lay("odd")
    await world.reread()
    world.lay("odd", title="Another day")
    world.lay("broken", title="")
    await world.reread()
    assert world.served.get("odd").title["en"] == "Bright day", "all of it or none"
    page = world.rereading.page()
    assert page["served"] == world.built_in + 1
    assert str(page["refused"]).endswith("broken/scene.toml: title.en: must be a text of 1 to 40 characters")
    assert world.value("scenes_refused") == 1
    assert "broken/scene.toml: title.en" in capsys.readouterr().out
    world.lay("broken", title="Mended")
    await world.reread()
    assert world.rereading.page()["refused"] == ""
    assert world.value("scenes_refused") == 0
    assert {world.served.get(name).title["en"] for name in ("odd", "broken")} == {"Another day", "Mended"}


async def test_a_signal_while_the_folders_are_read_has_them_read_again(world: World) -> None:
    for _ in range(5):
        world.rereading.on_hangup()
    await eventually(lambda: world.reads == 1)
    world.rereading.on_hangup()
    await eventually(lambda: world.reads == 2)
