"""A database for one test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from projections import Database, open_database


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "runs.db"


@pytest.fixture
def database(path: Path) -> Iterator[Database]:
    with open_database(path) as opened:
        yield opened
