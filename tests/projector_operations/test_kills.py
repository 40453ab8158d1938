"""Killed at any statement, nothing is half there, and the next one ends as if there was none."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

IN_MEMORY = Path("/dev/shm")  # noqa: S108 - no power is cut here: files need not reach a disk
SCRIPT = Path(__file__).with_name("killed.py")


@pytest.mark.timeout(400)
@pytest.mark.parametrize("scenario", ["rebuild", "rebuild-run", "renewal", "skipping"])
def test_killed_at_any_statement_it_ends_with_the_rows_of_one_that_was_not(
    scenario: str,
) -> None:
    paths = os.pathsep.join(map(str, SCRIPT.parents[1:3]))
    with tempfile.TemporaryDirectory(dir=IN_MEMORY if IN_MEMORY.exists() else None) as folder:
        done = subprocess.run(
            [sys.executable, str(SCRIPT), scenario, folder],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "PYTHONPATH": paths},
        )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 20
