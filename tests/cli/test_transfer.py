"""Histories that come in and go out by files and pipes."""

from __future__ import annotations

import gzip
import json

from command_line import PATIENCE_S, CommandLine


def test_a_file_comes_in_from_stdin_and_goes_out_to_a_file(cli: CommandLine) -> None:
    lines = [{"run_id": "r", "type": "order.placed", "data": {"n": n}} for n in range(3)]
    with cli.write("in.jsonl", lines).open("rb") as source:
        report = cli.json("import", "-", stdin=source)

    cli.text("export", "out.jsonl.gz")
    cli.text("export", "out.jsonl", "--run", "r")

    assert (report["written"], report["runs"], report["bad"]) == (3, 1, 0)
    with gzip.open(cli.folder / "out.jsonl.gz") as zipped:
        assert [json.loads(line)["data"] for line in zipped] == [line["data"] for line in lines]
    assert (cli.folder / "out.jsonl").read_text() == cli.text("export")
    assert cli.text("export", "--run", "r", "--run", "r") == cli.text("export")
    assert cli.json("import", "out.jsonl")["already_there"] == 3
    assert not list(cli.folder.glob("*.part"))


def test_a_broken_line_is_named_and_what_came_before_is_kept(cli: CommandLine) -> None:
    path = cli.write("in.jsonl", [{"run_id": "r", "type": "a"}, {"run_id": "r", "kind": "b"}])

    stopped = cli.run("import", path)
    skipped = cli.run("import", path, "--skip-bad", "--json")

    assert (stopped.returncode, stopped.stdout) == (1, "")
    assert stopped.stderr == (
        "events stored from before that line: 1\n"
        "Error: line 2: invalid event: unknown fields 'kind'\n"
    )
    assert skipped.returncode == 0
    report = json.loads(skipped.stdout)
    assert (report["already_there"], report["bad"]) == (1, 1)
    assert skipped.stderr.startswith("left out: line 2")


def test_only_the_first_bad_lines_are_told(cli: CommandLine) -> None:
    path = cli.write("in.jsonl", [{"run_id": "r", "type": "a"}, *[{"x": n} for n in range(30)]])

    done = cli.run("import", path, "--skip-bad")

    assert len(done.stderr.splitlines()) == 12
    assert "20 more" in done.stderr
    assert "30 bad lines" in done.stdout


def test_an_export_that_fails_leaves_no_file(cli: CommandLine) -> None:
    cli.json("import", cli.write("in.jsonl", [{"run_id": "r", "type": "a"}]))
    (cli.folder / "out.jsonl").write_text("before")

    assert cli.run("export", "out.jsonl", "--run", "nothing").returncode == 1

    assert (cli.folder / "out.jsonl").read_text() == "before"
    assert not list(cli.folder.glob("*.part"))


def test_an_export_whose_reader_leaves_ends_quietly(cli: CommandLine) -> None:
    lines = [{"run_id": "r", "type": "a", "data": {"x": "y" * 1_000}} for _ in range(300)]
    cli.json("import", cli.write("in.jsonl", lines))

    with cli.start("export") as export:
        assert export.stdout is not None
        assert export.stderr is not None
        export.stdout.readline()
        export.stdout.close()
        told = export.stderr.read()
        assert (export.wait(PATIENCE_S), told) == (141, "")
