"""What the README shows is what happens."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text("utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```$", README, flags=re.DOTALL | re.MULTILINE)


def test_the_readme_has_examples() -> None:
    assert len(BLOCKS) >= 3


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_an_example_of_the_readme_runs_as_it_stands(number: int, tmp_path: Path) -> None:
    # given a block of the README in a file of its own, and an empty folder
    script = tmp_path / "example.py"
    script.write_text(BLOCKS[number], "utf-8")
    # when it runs
    done = subprocess.run(
        [sys.executable, "-W", "error", script], cwd=tmp_path, capture_output=True, timeout=60,
        check=False, text=True,
    )  # fmt: skip
    # then it ends well, and prints what its comments say it prints
    assert done.returncode == 0, done.stderr
    expected = re.findall(r"# prints: (.*)$", BLOCKS[number], flags=re.MULTILINE)
    assert done.stdout.splitlines()[: len(expected)] == expected


def test_there_are_exactly_two_setup_commands() -> None:
    assert re.findall(r"<!-- command: (\w+) -->", README) == ["demo", "tests"]
