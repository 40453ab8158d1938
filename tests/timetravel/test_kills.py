"""A fork is killed at every step: it is never half there, and the next call finishes it."""

from __future__ import annotations

from pathlib import Path

import pytest
from faults import steps_survived
from servers import Server


@pytest.mark.timeout(300)
def test_a_kill_at_any_step_leaves_a_whole_fork_or_none(own_server: Server, tmp_path: Path) -> None:
    steps = steps_survived("timetravel.killed", own_server.url, folder=tmp_path)
    assert steps > 5  # places to be killed at: else nothing was counted
