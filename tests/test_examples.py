"""Every example runs as it stands, more than once, and says what it should."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parent.parent
EXAMPLES = PROJECT / "examples"
RUNS_UNTIL_STOPPED = {"service.py"}
"""Services, which end only when they are told to."""

SAYS = {
    "approval.py": [
        r"quick-\w+ goes on \(manual\) with .*'approved': True}",
        r"slow-\w+ goes on \(window_expired\) with {'amount': 990, 'budget': 'travel'}",
        r"slow-\w+ ended at version 7: run\.aborted",
    ],
    "own_projections.py": [
        r"refund: 2 calls of large, 240 tokens written",
        r"refund-2 waits for ann: sign",
    ],
    "quickstart.py": [
        r"1 run\.created",
        r"2 node\.completed check",
        r"3 run\.paused",
        r"4 run\.resumed",
        r"goes on at pay with {'total': 990, 'approved': True}",
    ],
}


def run_example(name: str, folder: Path) -> list[str]:
    found = subprocess.run(
        [sys.executable, "-W", "error", str(EXAMPLES / name)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (found.returncode, found.stderr) == (0, "")
    return [line.rstrip() for line in found.stdout.splitlines()]


@pytest.mark.parametrize("name", sorted(SAYS))
def test_an_example_runs_as_it_stands_and_again(name: str, tmp_path: Path) -> None:
    # When it runs in an empty folder
    said = run_example(name, tmp_path)
    # Then
    assert len(said) == len(SAYS[name])
    assert all(map(re.fullmatch, SAYS[name], said)), said
    # And a second time, where it left its data
    assert run_example(name, tmp_path)[-1:]


def test_no_example_is_forgotten() -> None:
    # Given
    examples = {path.name for path in EXAMPLES.glob("*.py")}
    # Then
    assert examples - RUNS_UNTIL_STOPPED == set(SAYS)
