"""A store with its archive, in which one run tells something that must go."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from retention.ground import Ground
from samples import deleted, ended, noted
from servers import AnyServer

MARKER = "Kleopatra-7f3a91c2"
"""What must be nowhere in the end."""


def speak(ground: Ground, run: str = "secret", events: int = 5) -> None:
    """Append events with the marker to a run, between those of another."""
    for number in range(events):
        ground.append(run, noted(f"{MARKER} {number}", meta={"actor": MARKER}))
        ground.append("other", noted(str(number)))


def delete(ground: Ground, run: str = "secret") -> None:
    """End the run, and delete it."""
    ground.append(run, ended())
    ground.append(run, deleted())


@pytest.fixture
def ground(server: AnyServer, namespace: str, tmp_path: Path) -> Iterator[Ground]:
    """Give a store whose run ``secret`` is archived, and then deleted."""
    with Ground(server, namespace, tmp_path) as opened:
        speak(opened)
        opened.archive()
        delete(opened)
        yield opened
