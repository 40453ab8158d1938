"""Help, completion, wrong usage, and what a command loads."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from click.testing import CliRunner
from command_line import CommandLine
from faults import PROJECT

from cli.ground import invoke
from replay.cli.main import commands

HEAVY = ("redis", "pydantic", "rich", "sqlite3", "asyncio", "orjson")


@pytest.mark.parametrize(
    "arguments",
    [
        ["unheard-of"],
        ["import"],
        ["import", "nothing.jsonl"],
        ["timeline"],
        ["timeline", "r", "--workflow", "w"],
        ["timeline", "--workflow", "w", "--bars"],
        ["runs", "list", "--limit", "0"],
        ["runs", "list", "--label", "team"],
        ["runs", "list", "--created-after", "soon"],
        ["runs", "list", "--status", "dead"],
        ["runs", "list", "--order", "size"],
        ["runs", "list", "--cursor", "xx"],
        ["resume", "r", "--patch", "[1]"],
        ["resume", "r", "--patch", "{"],
        ["--partitions", "0", "stats"],
        ["--namespace", "../x", "stats"],
    ],
)
def test_wrong_usage_exits_with_2(projected: CommandLine, arguments: list[str]) -> None:
    result = invoke(projected, *arguments)

    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from replay.__main__ import main\n"
        "sys.argv = ['runstore', *sys.argv[1:]]\n"
        "try:\n    main()\n"
        "except SystemExit as end:\n    print(end.code, file=sys.stderr)\n"
        f"print([name for name in {HEAVY} if name in sys.modules], file=sys.stderr)\n"
    )
    for arguments in (["--help"], ["runs", "list", "--help"], ["completion", "zsh"]):
        done = subprocess.run(
            [sys.executable, "-c", code, *arguments],
            cwd=PROJECT,
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stderr == "0\n[]\n"
        assert done.stdout


def test_every_command_has_help_and_takes_the_global_options() -> None:
    for name, command in commands.commands.items():
        assert command.help, name
        result = CliRunner().invoke(commands, [name, "--help"])
        assert result.exit_code == 0
        assert "Usage: " in result.stdout
    result = CliRunner().invoke(commands, ["--help"])
    for word in ("demo", "import", "RUNSTORE_REDIS_URL", "Exit codes", "next_cursor"):
        assert word in result.stdout


def test_completion_completes_commands_and_options() -> None:
    script = CliRunner().invoke(commands, ["completion", "bash"])
    assert "_RUNSTORE_COMPLETE=bash_complete" in script.stdout

    done = subprocess.run(
        [sys.executable, "-m", "replay"],
        cwd=PROJECT,
        env={
            **os.environ,
            "_RUNSTORE_COMPLETE": "bash_complete",
            "COMP_WORDS": "runstore p",
            "COMP_CWORD": "1",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split() == ["plain,project", "plain,pauses", "plain,parked"]


def test_a_missing_click_is_told_in_a_sentence() -> None:
    for missing in ("click", "rich"):
        code = (
            f"import sys; sys.modules[{missing!r}] = None\n"
            "from replay.__main__ import main\n"
            "if sys.modules.get('click', 1) is not None:\n"
            "    import click\n"
            "    sys.stdout.isatty = lambda: True\n"
            "main()\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", code, "doctor"],
            cwd=PROJECT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 2
        assert done.stderr == (
            "the command line needs click and rich: pip install 'runstore[all]'\n"
        )


def test_the_version_is_told(projected: CommandLine) -> None:
    assert invoke(projected, "--version").stdout.startswith("runstore ")


def test_a_package_tells_its_names_before_any_of_them_was_asked_for() -> None:
    told = "import replay; print(set(replay.__all__) <= set(dir(replay)))"
    done = subprocess.run(
        [sys.executable, "-c", told], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "True\n"
