"""Archiver and trimmer are killed at every step while they erase: the next run ends it."""

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
@pytest.mark.parametrize("own_server", ["valkey"], indirect=True)
def test_a_kill_at_any_step_leaves_nothing_that_the_next_run_does_not_erase(
    own_server: Server, tmp_path: Path
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "erasure.killed", own_server.url, str(tmp_path)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": f"{PROJECT}:{TESTS}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 20
