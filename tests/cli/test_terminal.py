"""What a terminal gets, and what a pipe does not."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys

from command_line import PATIENCE_S, CommandLine
from faults import PROJECT


def _on_a_terminal(cli: CommandLine, *arguments: str, **environment: str) -> str:
    """Run a command on a terminal of its own; give what it shows there."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "replay", *arguments],
        cwd=cli.folder,
        env={
            **os.environ,
            "PYTHONPATH": str(PROJECT),
            "TERM": "xterm-256color",
            "COLUMNS": "100",
            **environment,
        },
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    shown = b""
    while chunk := _read(ours):
        shown += chunk
    os.close(ours)
    assert process.wait(PATIENCE_S) == 0, shown.decode()
    return shown.decode()


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65_536)
    except OSError:  # the other end is closed
        return b""


COLOUR = re.compile(r"\x1b\[[0-9;]*(3[0-8]|4[0-8]|9[0-7])[;m]")


def test_a_terminal_gets_tables_and_colours_unless_it_wants_none(projected: CommandLine) -> None:
    drawn = _on_a_terminal(projected, "timeline", "order-3", "--bars")
    plain = _on_a_terminal(projected, "timeline", "order-3", "--bars", NO_COLOR="1")
    table = _on_a_terminal(projected, "runs", "list", NO_COLOR="1")

    assert COLOUR.search(drawn)
    assert not COLOUR.search(plain)
    assert "\u25b6" in plain
    assert "order-4" in table
    assert not COLOUR.search(table)


def test_a_narrow_terminal_gets_columns_with_each_id_in_one_piece(projected: CommandLine) -> None:
    narrow = _on_a_terminal(projected, "pauses", COLUMNS="60")
    wide = _on_a_terminal(projected, "pauses", COLUMNS="200")

    assert [line.split()[0] for line in narrow.splitlines()] == ["run", "order-1", "order-3"]
    assert "\u2500" in wide
    assert "\u2500" not in narrow
    assert "waited s" in projected.text("pauses")  # programs get all columns,
    assert "waited s" not in wide + narrow  # people those that say something


def test_a_terminal_sees_progress_and_pipes_do_not(cli: CommandLine) -> None:
    lines = [{"run_id": f"r{n}", "type": "a"} for n in range(3_000)]
    cli.write("in.jsonl", lines)

    assert "importing" in _on_a_terminal(cli, "import", "in.jsonl")
    assert "projecting" in _on_a_terminal(cli, "project", "run", "--to-end")
    piped = cli.run("import", "in.jsonl")
    assert "importing" not in piped.stdout + piped.stderr
