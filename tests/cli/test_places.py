"""Servers, databases and folders: where commands look, and what they say when nothing is there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from command_line import CommandLine

from cli.ground import invoke

SECRET = "hunter2"  # noqa: S105 - it is no secret


def test_a_url_needs_the_path_of_a_database(projected: CommandLine, tmp_path: Path) -> None:
    url = "redis://localhost:1"

    refused = invoke(projected, "--url", url, "stats")
    given = invoke(projected, "--url", url, "--database", str(projected.database), "stats")

    assert refused.exit_code == 2
    assert "--database" in refused.stderr
    assert given.exit_code == 0


@pytest.mark.parametrize("server", ["valkey"], indirect=True)
def test_variables_name_server_and_database(cli: CommandLine, server: Any, namespace: str) -> None:
    place = {
        "RUNSTORE_REDIS_URL": server.url,
        "RUNSTORE_DATABASE": str(cli.folder / "elsewhere.db"),
    }
    path = cli.write("in.jsonl", [{"run_id": "r", "type": "a"}])

    cli.json("--namespace", namespace, "--partitions", 3, "import", path, **place)
    cli.json("project", "run", "--to-end", "--namespace", namespace, **place)

    assert cli.json("stats", "--namespace", namespace, **place)["events"] == 1
    assert server.admin.hget(f"{namespace}:meta", "partitions") == b"3"
    assert not cli.store_folder.exists()


def test_each_namespace_of_a_folder_has_a_database_of_its_own(cli: CommandLine) -> None:
    path = cli.write("in.jsonl", [{"run_id": "r", "type": "a"}])
    for namespace in ("one", "two"):
        cli.json("import", path, "--namespace", namespace)
        cli.json("project", "run", "--to-end", "--namespace", namespace)

    assert {path.name for path in cli.store_folder.glob("*.db")} == {"one.db", "two.db"}


def test_an_existing_store_keeps_its_partitions(cli: CommandLine) -> None:
    path = cli.write("in.jsonl", [{"run_id": "r", "type": "a"}])
    cli.json("import", path, "--partitions", 2)

    assert cli.json("import", path)["already_there"] == 1
    refused = cli.run("import", path, "--partitions", 4)

    assert refused.returncode == 1
    assert "created with 2 partitions" in refused.stderr


@pytest.mark.parametrize(
    "command", [["stats"], ["runs", "list"], ["export"], ["restore"], ["resume", "r"]]
)
def test_an_empty_folder_says_what_to_do_and_stays_empty(
    cli: CommandLine, command: list[str]
) -> None:
    done = cli.run(*command)

    assert (done.returncode, done.stdout) == (2, "")
    assert re.search("'runstore (import|project run)", done.stderr)
    assert len(done.stderr.splitlines()) == 1
    assert not list(cli.folder.iterdir())


@pytest.mark.parametrize(
    "url",
    [
        f"redis://user:{SECRET}@127.0.0.1:1",
        f"nonsense://user:{SECRET}@localhost",
        f"redis://:{SECRET}?x@127.0.0.1:1",
        f"redis+cluster://user:{SECRET}@localhost",
    ],
)
def test_a_url_that_leads_nowhere_exits_with_2_and_keeps_its_secrets(
    cli: CommandLine, url: str
) -> None:
    for command in (["restore"], ["doctor"]):
        done = cli.run("--url", url, *command, RUNSTORE_APPEND_TIMEOUT_MS="200")
        assert done.returncode == 2, done
        assert SECRET not in done.stdout + done.stderr
        assert "Traceback" not in done.stderr


def test_a_wrong_password_is_refused_and_never_printed(cli: CommandLine, launch: Any) -> None:
    server = launch("redis7", tcp=True, options={"requirepass": "right"})
    url = server.url.replace("right", SECRET)
    for command in (["restore"], ["doctor"]):
        done = cli.run("--url", url, *command)
        assert done.returncode == 1
        assert "password" in done.stdout + done.stderr
        assert SECRET not in done.stdout + done.stderr


@pytest.mark.parametrize("content", [b"", b"hello", b"SQLite format 3\x00" + b"\xff" * 2_000])
def test_a_database_that_is_none_is_told_in_one_line(cli: CommandLine, content: bytes) -> None:
    path = cli.folder / "x.db"
    path.write_bytes(content)

    done = cli.run("--database", path, "stats")

    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert str(path) in done.stderr


def test_a_folder_that_cannot_be_made_is_told_in_one_line(cli: CommandLine) -> None:
    path = cli.write("in.jsonl", [{"run_id": "r", "type": "a"}])

    done = cli.run("import", path, "--folder", path / "below")

    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert str(path) in done.stderr
