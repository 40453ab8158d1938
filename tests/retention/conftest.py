"""A store with its archive for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from servers import AnyServer

from retention.ground import Ground


@pytest.fixture
def ground(server: AnyServer, namespace: str, tmp_path: Path) -> Iterator[Ground]:
    """Give a store with its archive, and all that was ever written to it."""
    with Ground(server, namespace, tmp_path) as opened:
        yield opened
