"""A power cut: the append-only file ends where it was last synced."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Launch, Opener
from samples import noted, notes
from servers import OWN, Server

from eventstore import EventStore, Settings
from survival.test_crashes import Writers, stored


class Wall:
    """A server whose power can be cut: what it has not synced is then gone."""

    def __init__(self, launch: Launch, shim: Path, name: str, folder: Path, fsync: str) -> None:
        self._synced = folder / "synced"
        self.server: Server = launch(
            name,
            preload=shim,
            environment={"FSYNC_LOG": str(self._synced)},
            options={"appendfsync": fsync},
        )

    def cut(self) -> int:
        """Cut the power and put it back; give how many bytes were lost."""
        self.server.kill()
        last: dict[str, int] = {}
        for line in self._synced.read_text().splitlines():
            path, _, size = line.rpartition(" ")
            last[path] = int(size)
        lost = 0
        for file in self.server.data.rglob("*.aof"):
            synced = last.get(str(file.resolve()), 0)
            lost += file.stat().st_size - synced
            with file.open("r+b") as opened:
                opened.truncate(synced)
        self.server.start()
        return lost


@pytest.fixture(params=OWN)
def wall(
    request: pytest.FixtureRequest, launch: Launch, shim: Callable[[str], Path], tmp_path: Path
) -> Callable[[str], Wall]:
    """Give what starts a server with an ``appendfsync`` on the power that can be cut."""
    return lambda fsync: Wall(launch, shim("fsynclog"), request.param, tmp_path, fsync)


async def test_what_was_acknowledged_under_fsync_survives_a_power_cut(
    open_any: Opener, wall: Callable[[str], Wall]
) -> None:
    powered = wall("always")
    settings = Settings(reply_timeout_ms=300)
    async with open_any(powered.server.url, durability="fsync", settings=settings) as store:
        writers = Writers(store)
        await writers.have_written(100)
        powered.cut()
        await writers.have_written(40)
        acknowledged = await writers.stop()

    assert stored(powered.server) == acknowledged


@pytest.mark.parametrize("wall", ["valkey"], indirect=True)
async def test_the_power_cut_of_these_tests_does_lose_what_was_not_synced(
    wall: Callable[[str], Wall],
) -> None:
    powered = wall("no")
    async with EventStore.open(powered.server.url) as store:
        await store.append("run", notes(100))
        assert powered.cut() > 0

    async with EventStore.open(powered.server.url) as store:
        assert (await store.append("run", noted())).first_version == 1
