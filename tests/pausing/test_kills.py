"""Whoever changes a pause is killed at every step: the run ends as if nothing had happened."""

from __future__ import annotations

import pytest
from faults import steps_survived
from servers import Server

from pausing.killed import ACTIONS


@pytest.mark.timeout(300)
@pytest.mark.parametrize("what", ACTIONS)
def test_a_kill_at_any_step_leaves_no_trace(own_server: Server, what: str) -> None:
    steps = steps_survived("pausing.killed", own_server.url, what)
    assert steps > 4  # places to be killed at: else nothing was counted
