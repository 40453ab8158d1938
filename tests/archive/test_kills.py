"""Archiver and recovery are killed at every step: no gap, no repeat, nothing half there."""

from __future__ import annotations

from pathlib import Path

import pytest
from faults import steps_survived
from servers import Server


@pytest.mark.timeout(300)
@pytest.mark.parametrize("what", ["archive", "put-back"])
def test_a_kill_at_any_step_loses_and_doubles_nothing(
    own_server: Server, tmp_path: Path, what: str
) -> None:
    steps = steps_survived("archive.killed", what, own_server.url, tmp_path, folder=tmp_path)
    assert steps > 20  # places to be killed at: else nothing was counted
