"""A database of the agents' runs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from histories import project

from projections import Database, open_database
from read_side.agent_runs import log


@pytest.fixture
def path(tmp_path: Path) -> Path:
    project(tmp_path / "runs.db", log(), batch_events=5)
    return tmp_path / "runs.db"


@pytest.fixture
def database(path: Path) -> Iterator[Database]:
    with open_database(path, read_only=True) as opened:
        yield opened
