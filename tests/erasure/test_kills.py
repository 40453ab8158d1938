"""Archiver and trimmer are killed at every step while they erase: the next run ends it."""

from __future__ import annotations

from pathlib import Path

import pytest
from faults import steps_survived
from servers import Server


@pytest.mark.timeout(300)
@pytest.mark.parametrize("own_server", ["valkey"], indirect=True)
def test_a_kill_at_any_step_leaves_nothing_that_the_next_run_does_not_erase(
    own_server: Server, tmp_path: Path
) -> None:
    steps = steps_survived("erasure.killed", own_server.url, tmp_path, folder=tmp_path)
    assert steps > 20
