"""The server's disk is full: told clearly, nothing half written, and well again with room."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import Launch, Opener, missing
from consistency import assert_consistent
from faults import soon
from samples import noted
from servers import OWN, Server

from eventstore import OutcomeUnknown, RunStoreError, ServerRefused, Settings, StoreUnavailable

SIZE_BYTES = 6 * 1_048_576
SPARE_BYTES = 200_000


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Give a file system of a few megabytes."""
    place = tmp_path / "disk"
    place.mkdir()
    mounting = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SIZE_BYTES}", "none", str(place)],
        capture_output=True,
        check=False,
    )
    if mounting.returncode != 0:
        missing("mount", PermissionError("file systems cannot be mounted here"))
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


class Disk:
    """A disk that can be filled and emptied."""

    def __init__(self, place: Path) -> None:
        self._filler = place / "filler"

    def fill(self) -> None:
        with self._filler.open("wb") as filler:
            filler.write(b"x" * (SIZE_BYTES - SPARE_BYTES - 65_536))

    def empty(self) -> None:
        self._filler.unlink()


@pytest.mark.parametrize("name", OWN)
async def test_a_full_disk_is_told_and_everything_works_again_when_there_is_room(
    open_any: Opener, launch: Launch, small_disk: Path, name: str
) -> None:
    server = launch(name, data=small_disk / "data", options={"appendfsync": "everysec"})
    disk = Disk(small_disk)
    disk.fill()
    async with open_any(server.url) as store:
        written = 0
        with pytest.raises(ServerRefused, match="disk") as caught:  # noqa: PT012
            while written < 1000:
                written = (await store.append("run", noted("x" * 20_000))).last_version
        assert "MISCONF" in caught.value.reply
        with pytest.raises(ServerRefused, match="disk"):
            await store.append("run", noted())
        assert len(await store.load("run")) == written

        disk.empty()
        await soon(lambda: server.admin.info("persistence")["aof_last_write_status"] == "ok")
        assert (await store.append("run", noted("room"))).last_version == written + 1

    assert len(assert_consistent(server, "runs")["run"]) == written + 1


@pytest.mark.parametrize("name", OWN)
async def test_a_server_that_dies_of_a_full_disk_kept_all_that_was_acknowledged(
    open_any: Opener, launch: Launch, small_disk: Path, name: str
) -> None:
    server: Server = launch(name, data=small_disk / "data")
    disk = Disk(small_disk)
    disk.fill()
    hasty = Settings(append_timeout_ms=300, reply_timeout_ms=300)
    async with open_any(server.url, durability="fsync", settings=hasty) as store:
        acknowledged = {}
        with pytest.raises(RunStoreError) as caught:  # noqa: PT012
            for _ in range(1000):
                event = noted("x" * 20_000)
                acknowledged[(await store.append("run", event)).last_version] = event.id
        # With appendfsync always the server ends itself rather than lie.
        assert isinstance(caught.value, (OutcomeUnknown, StoreUnavailable, ServerRefused))

        disk.empty()
        server.restart()
        more = await store.append("run", noted("room"))

    entries = assert_consistent(server, "runs")["run"]
    found = {entry.version: entry.event["id"] for entry in entries}
    assert acknowledged.items() <= found.items()
    assert more.last_version == len(entries) <= len(acknowledged) + 2
