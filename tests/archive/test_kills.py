"""Archiver and recovery are killed at every step: no gap, no repeat, nothing half there."""

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
@pytest.mark.parametrize("what", ["archive", "put-back"])
def test_a_kill_at_any_step_loses_and_doubles_nothing(
    own_server: Server, tmp_path: Path, what: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "archive.killed", what, own_server.url, str(tmp_path)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": f"{PROJECT}:{TESTS}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 20  # places to be killed at: else nothing was counted
