"""``runstore delete``, as typed: until no file of the folder shows anything of the run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from command_line import CommandLine
from faults import eventually

from erasure.conftest import MARKER
from eventstore.events import value_digest

PADDING = "x" * 300


def spoken(run: str, said: str) -> list[dict[str, Any]]:
    """Make the lines of a run that says something in every way there is."""
    data = [
        ("run.created", {"input": said, "labels": {"who": said}}),
        ("message.added", {"thread_id": run, "role": "user", "content": f"{said} {PADDING}"}),
        ("log.emitted", {"level": "info", "message": said}),
        ("node.started", {"node_id": said}),
        ("state.stored", {"digest": value_digest(said), "value": said}),
        (
            "checkpoint.saved",
            {"state": {"name": said}, "stored": {"large": value_digest(said)}, "resume_at": said},
        ),
    ]
    return [
        {
            "run_id": run,
            "version": version,
            "type": kind,
            "data": told,
            "meta": {"actor": said},
            "id": f"{run}-{version}",
            "workflow_id": "w",
            "occurred_at": "2024-01-01T00:00:00Z",
        }
        for version, (kind, told) in enumerate(data, 1)
    ]


@pytest.fixture
def line(tmp_path: Path) -> Iterator[CommandLine]:
    """Give a folder with a run that is archived, projected, searched and folded."""
    line = CommandLine(tmp_path)
    lines = spoken("secret", MARKER)
    for number in range(40):
        lines += spoken(f"run-{number}", f"Octavian {number}")
    line.text("import", line.write("runs.jsonl", lines))
    line.text("project", "run", "--to-end")
    line.text("archive", "run", "--to-end")
    line.text("state", "secret")
    yield line
    line.close()


def left(line: CommandLine) -> dict[str, int]:
    done = line.run("delete", "secret", "--status", "--json")
    found = json.loads(done.stdout)
    assert done.returncode == (0 if found["is_gone"] else 1)
    return {trace["place"]: trace["left"] for trace in found["traces"] if trace["left"]}


def showing(line: CommandLine, text: str = MARKER) -> list[str]:
    """Name the files that hold a text, in whatever case."""
    files = (path for path in line.store_folder.rglob("*") if path.is_file())
    return [path.name for path in files if text.lower().encode() in path.read_bytes().lower()]


def test_a_deleted_run_leaves_every_place_and_every_file(line: CommandLine) -> None:
    # given a run whose content is in many places
    assert left(line) == {
        "run stream": 6,
        "head": 1,
        "archive": 6,
        "projections": left(line)["projections"],
        "log": 6,
        "unused space": 1,
    }
    # when it is deleted
    line.text("delete", "secret", "--reason", "asked for", "--actor", "bob", "--yes")
    # then each place loses it by what is said to remove it there
    assert left(line)["archive"] == 6
    line.text("archive", "run", "--to-end")
    assert "archive" not in left(line)
    line.text("project", "run", "--to-end")
    assert "projections" not in left(line)
    line.text("trim", "--group-grace", "0.001")
    assert left(line) == {"unused space": 1}
    assert line.json("delete", "--wipe") == {"runs": 1, "waiting": 0, "hindered": []}
    assert left(line) == {}
    # and no file shows anything of it any more, while all else is as it was
    eventually(lambda: not showing(line))
    assert "runs.archive.db" in showing(line, "Octavian 7")
    assert line.run("archive", "verify").returncode == 0
    assert line.run("audit", "verify").returncode == 0
    assert line.run("project", "verify").returncode == 0
    assert len(line.json("search", "octavian", "--limit", 1000)["items"]) == 40 * 5


def test_a_rebuild_of_an_erased_run_shows_what_was_live(line: CommandLine) -> None:
    # given projections that saw a run before it was erased
    line.text("delete", "secret", "--reason", "asked for", "--yes")
    line.text("project", "run", "--to-end")
    before = line.run("runs", "show", "secret").stderr
    line.text("archive", "run", "--to-end")
    line.text("trim", "--group-grace", "0.001")
    # when they are made anew from what is left
    line.text("project", "rebuild", "--anew")
    # then they show the same: that it was deleted, and why
    assert "asked for" in before
    assert "deleted" in line.text("state", "secret")
    assert line.run("runs", "show", "secret").stderr == before
    assert line.run("project", "verify").returncode == 0


def test_what_is_exported_of_an_erased_run_can_be_imported(
    line: CommandLine, tmp_path: Path
) -> None:
    # given an erased run
    line.text("delete", "secret", "--yes")
    line.text("archive", "run", "--to-end")
    line.text("trim", "--group-grace", "0.001")
    # when the store is exported, and imported into another one
    exported = tmp_path / "all.jsonl"
    exported.write_text(line.text("export"))
    other = CommandLine(tmp_path / "other")
    try:
        other.text("import", exported)
        # then the run is there with its versions, without content, and deleted
        found = other.lines("export", "--run", "secret")
        assert [event["version"] for event in found] == [1, 2, 3, 4, 5, 6, 7]
        assert {event["type"] for event in found[:-1]} == {"event.erased"}
        assert other.run("delete", "secret", "--status").returncode == 1
        assert other.lines("export", "--run", "run-1") == line.lines("export", "--run", "run-1")
    finally:
        other.close()


def test_a_deletion_asks_or_must_be_told_and_can_be_rehearsed(line: CommandLine) -> None:
    refused = line.run("delete", "secret")
    assert (refused.returncode, "--yes" in refused.stderr) == (2, True)
    rehearsed = line.json("delete", "secret", "--dry-run")
    assert rehearsed["would_record"] == [{"type": "run.deleted", "data": {"reason": None}}]
    assert left(line)["log"] == 6
    assert line.json("delete", "secret", "--yes")["version"] == 7
    assert line.json("delete", "secret", "--yes")["version"] == 7


def test_wrong_questions_are_refused(line: CommandLine) -> None:
    assert line.run("delete").returncode == 2
    assert line.run("delete", "secret", "--wipe").returncode == 2
    assert line.run("delete", "nobody", "--yes").returncode == 1
    assert line.run("delete", "nobody", "--status").returncode == 1
    (line.store_folder / "runs.archive.db").unlink()
    unarchived = line.run("delete", "--wipe")
    assert (unarchived.returncode, "archive" in unarchived.stderr) == (2, True)
