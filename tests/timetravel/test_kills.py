"""A fork is killed at every step: it is never half there, and the next call finishes it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from faults import PROJECT
from servers import Server

TESTS = Path(__file__).parents[1]


@pytest.mark.timeout(300)
def test_a_kill_at_any_step_leaves_a_whole_fork_or_none(own_server: Server, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "timetravel.killed", own_server.url],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": f"{PROJECT}:{TESTS}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 5  # places to be killed at: else nothing was counted
