"""A command line with a folder of its own, and one that has been projected."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from command_line import CommandLine

from cli.ground import append_run
from eventstore import SyncEventStore
from projections import Projector, open_database


@pytest.fixture
def cli(tmp_path: Path) -> Iterator[CommandLine]:
    """The command line in an empty folder."""
    with closing(CommandLine(tmp_path / "f")) as line:
        yield line


@pytest.fixture(scope="module")
def projected(tmp_path_factory: pytest.TempPathFactory) -> CommandLine:
    """A folder with some runs, projected; its server has stopped. Only to be read."""
    line = CommandLine(tmp_path_factory.mktemp("runs"))
    with (
        SyncEventStore.open(folder=line.store_folder) as store,
        open_database(line.database) as database,
        Projector(store, database) as projector,
    ):
        for number in range(5):
            append_run(store, number)
        projector.run_to_end()
    return line
