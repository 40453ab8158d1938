"""A folder, the programs that run its server, and processes that use it.

Whatever a test leaves behind is ended here, by process id.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from embedded_server.ground import BINARIES, Worker, binary_named, servers_below


@pytest.fixture(params=BINARIES)
def binary(request: pytest.FixtureRequest) -> Path:
    return binary_named(request.param)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder for a store; every server that worked in it or below is killed in the end."""
    yield tmp_path / "store"
    for process in servers_below(tmp_path):
        with suppress(psutil.NoSuchProcess):
            process.kill()


@pytest.fixture
def worker() -> Iterator[Callable[..., Worker]]:
    workers: list[Worker] = []

    def start(script: str, folder: Path, *arguments: str, **environment: str) -> Worker:
        workers.append(Worker(script, folder, *arguments, **environment))
        return workers[-1]

    yield start
    for each in workers:
        each.close()
