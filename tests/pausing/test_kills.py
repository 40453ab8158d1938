"""Whoever changes a pause is killed at every step: the run ends as if nothing had happened."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from faults import PROJECT
from servers import Server

from pausing.killed import ACTIONS

TESTS = Path(__file__).parents[1]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("what", ACTIONS)
def test_a_kill_at_any_step_leaves_no_trace(own_server: Server, what: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pausing.killed", own_server.url, what],
        env={**os.environ, "PYTHONPATH": f"{PROJECT}:{TESTS}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 4  # places to be killed at: else nothing was counted
