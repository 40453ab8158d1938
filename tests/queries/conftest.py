"""A database of the small runs, and those who ask it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from histories import interleaved, project, record

from projections import Database, Pauses, Runs, Timeline, open_database
from queries.small_runs import RUNS


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Project the runs above: one is done, one waits, one failed, one is new, one is another's."""
    path = tmp_path_factory.mktemp("queries") / "runs.db"
    project(path, interleaved({name: record(name, events) for name, events in RUNS.items()}, []))
    return path


@pytest.fixture
def database(path: Path) -> Iterator[Database]:
    with open_database(path, read_only=True) as opened:
        yield opened


@pytest.fixture
def runs(database: Database) -> Runs:
    return Runs(database)


@pytest.fixture
def timeline(database: Database) -> Timeline:
    return Timeline(database)


@pytest.fixture
def pauses(database: Database) -> Pauses:
    return Pauses(database)
