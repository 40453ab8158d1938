"""``runstore archive``, as a person or a program runs it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_line import CommandLine
from incidents import incidents_file, made_up_lines
from servers import AnyServer

from archive.filing import archived, ask, fill, tamper
from eventstore import SyncEventStore
from eventstore.server import EmbeddedServer

KEY = "5e" * 32


@pytest.fixture
def line(tmp_path: Path) -> Iterator[CommandLine]:
    """Give a command line in a folder with a store of made-up incidents, archived."""
    line = CommandLine(tmp_path / "here")
    line.text("import", line.write("lines.jsonl", made_up_lines(runs=20)))
    line.json("archive", "run", "--to-end", RUNSTORE_SEAL_KEY=KEY)
    yield line
    line.close()


def file_of(line: CommandLine) -> Path:
    return line.store_folder / "runs.archive.db"


def test_status_tells_without_any_service_or_server(line: CommandLine) -> None:
    status = line.json("archive", "status")
    assert (status["state"], status["archiver"], status["behind"]) == ("archiving", None, None)
    assert (status["runs"], status["is_signed"]) == (20, True)
    assert status["events"] == len(made_up_lines(runs=20))
    shown = line.text("archive", "status")
    assert "none runs" in shown
    assert "nobody archives: runstore archive run" in shown
    assert status["last_seal"] in shown
    assert KEY not in shown


def test_status_counts_what_is_behind(line: CommandLine) -> None:
    with EmbeddedServer.join(line.store_folder):
        more = made_up_lines(runs=21, seed=2)
        for one in more:
            one["run_id"] += "-more"
        line.text("import", line.write("more.jsonl", more))
        assert line.json("archive", "status")["behind"] == len(more)
        assert line.json("archive", "run", "--to-end", RUNSTORE_SEAL_KEY=KEY)["events"] == len(more)
        assert line.json("archive", "status")["behind"] == 0


def verified(
    line: CommandLine, *arguments: str, key: str = KEY
) -> subprocess.CompletedProcess[str]:
    return line.run("archive", "verify", *arguments, RUNSTORE_SEAL_KEY=key)


def test_verify_exits_with_what_it_found(line: CommandLine) -> None:
    path = file_of(line)
    good = verified(line, "--json")
    found = json.loads(good.stdout)
    assert (good.returncode, found["finding_count"], found["signatures"]) == (0, 0, "good")
    assert verified(line).returncode == 0
    assert verified(line, key="").returncode == 2
    assert verified(line, key="77" * 32).returncode == 2
    assert verified(line, key="short").returncode == 2
    assert verified(line, "--expect", found["last_seal"]).returncode == 0
    assert verified(line, "--expect", f"9{found['last_seal']}").returncode == 1
    assert verified(line, "--expect", "nonsense").returncode == 2

    tamper(path, "UPDATE events SET event = CAST('{}' AS BLOB) WHERE rowid = "
                 "(SELECT max(place) FROM events)")  # fmt: skip
    bad = verified(line)
    ((run_id, version),) = ask(
        path, "SELECT run_id, e.version FROM events e JOIN runs r ON r.id = e.run "
        "ORDER BY place DESC LIMIT 1"
    )  # fmt: skip
    assert bad.returncode == 1
    assert f"changed  {run_id}" in bad.stdout
    (finding,) = json.loads(verified(line, "--json").stdout)["findings"]
    assert (finding["run_id"], finding["version"]) == (run_id, version)

    path.write_bytes(b"no archive" * 100)
    assert verified(line).returncode == 2
    path.unlink()
    assert verified(line).returncode == 2


def test_a_wrong_key_stops_the_archiver(line: CommandLine) -> None:
    done = line.run("archive", "run", "--to-end")
    assert (done.returncode, "RUNSTORE_SEAL_KEY" in done.stderr) == (2, True)
    done = line.run("archive", "run", "--to-end", RUNSTORE_SEAL_KEY="77" * 32)
    assert (done.returncode, "77" * 32 in done.stderr) == (2, False)


def test_an_emptied_store_is_listed_put_back_and_good(line: CommandLine) -> None:
    events = line.json("archive", "status")["events"]
    exported = line.text("export")
    with EmbeddedServer.join(line.store_folder) as server:
        _flush(server.url)
        listed = line.run("archive", "lost", "--json", "--limit", 7)
        lost = json.loads(listed.stdout)
        assert (listed.returncode, lost["events"], len(lost["items"])) == (1, events, 7)
        assert "put-back" in line.run("archive", "lost").stderr
        assert line.json("archive", "put-back", RUNSTORE_SEAL_KEY=KEY)["events"] == events
        assert line.text("archive", "lost") == ""
        assert line.text("export") == exported
        assert json.loads(verified(line, "--json").stdout)["compared"] == events


@pytest.mark.parametrize("server", ["valkey"], indirect=True)
@pytest.mark.parametrize("first", [("archive", "run", "--to-end"), ("archive", "put-back")])
def test_an_emptied_server_gets_the_partitions_that_it_had_whatever_comes_first(
    server: AnyServer, namespace: str, tmp_path: Path, first: tuple[str, ...]
) -> None:
    # given a store of three partitions, archived, on a server that lost everything
    file = tmp_path / "a.db"
    with SyncEventStore.open(server.url, namespace=namespace, partitions=3) as store:
        fill(store)
        events = archived(store, file)
    server.forget(namespace)
    line = CommandLine(tmp_path / "here")
    place = ("--url", server.url, "--namespace", namespace, "--archive", file)
    # when a command is run that knows the archive
    done = line.run(*place, *first)
    # then it says what to do, or does it, and nothing stands in the way of that
    if "run" in first:
        assert (done.returncode, "put-back" in done.stderr) == (1, True)
        done = line.run(*place, "archive", "put-back")
    assert done.returncode == 0, done.stderr
    assert "groups create" in done.stderr
    with SyncEventStore.open(server.url, namespace=namespace, partitions=3) as store:
        assert len(list(store.read_all())) == events


@pytest.mark.parametrize(
    ("changed", "key"), [("UPDATE events SET version = version + 1000", KEY), (None, "77" * 32)]
)
def test_what_is_not_known_to_be_whole_is_put_back_only_when_told(
    line: CommandLine, changed: str | None, key: str
) -> None:
    # given a loss, and an archive that somebody changed, or whose key is another
    if changed:
        assert tamper(file_of(line), f"{changed} WHERE version = 1")
    with EmbeddedServer.join(line.store_folder) as server:
        _flush(server.url)
        lost = line.run("archive", "lost", "--json").stdout
        # when
        refused = line.run("archive", "put-back", RUNSTORE_SEAL_KEY=key)
        # then nothing is put back, and it says what to do
        assert (refused.returncode, "--unverified" in refused.stderr) == (2, True)
        assert line.run("archive", "lost", "--json").stdout == lost
        # and what can be is put back when told: checksums hold what was changed back
        done = line.run("archive", "put-back", "--unverified")
        assert done.returncode == (1 if changed else 0)


def test_a_loss_is_accepted_with_its_reason(line: CommandLine) -> None:
    lines = made_up_lines(runs=20)
    with EmbeddedServer.join(line.store_folder) as server:
        _flush(server.url)
        line.text("import", line.write("again.jsonl", lines))
        again = ("archive", "put-back", "--new-store")
        assert line.run(*again, RUNSTORE_SEAL_KEY=KEY).returncode == 1
        asked = ("archive", "accept", "--reason", "the disk was gone")
        assert line.run(*asked, RUNSTORE_SEAL_KEY=KEY).returncode == 1  # nobody said yes
        accepted = line.json(*asked, "--yes", RUNSTORE_SEAL_KEY=KEY)
        assert accepted["events"] > 0
        again = line.json("archive", "run", "--to-end", RUNSTORE_SEAL_KEY=KEY)
        assert again["events"] == len(lines)
        assert verified(line).returncode == 0


def _flush(url: str) -> None:
    import redis  # noqa: PLC0415 - a look past the store

    with redis.Redis.from_url(url) as admin:
        admin.flushall()


def test_with_a_url_the_archive_must_be_named(line: CommandLine) -> None:
    done = line.run("archive", "status", "--url", "redis://127.0.0.1:1")
    assert (done.returncode, "RUNSTORE_ARCHIVE" in done.stderr) == (2, True)
    named = line.run("archive", "status", RUNSTORE_ARCHIVE=str(file_of(line)))
    assert named.returncode == 0
    given = line.run("archive", "status", "--archive", file_of(line), "--folder", "elsewhere")
    assert given.returncode == 0


@pytest.mark.timeout(300)
@pytest.mark.skipif(incidents_file() is None, reason="the incidents data set is not here")
def test_the_incidents_are_archived_and_verified(tmp_path: Path) -> None:
    line = CommandLine(tmp_path / "incidents")
    try:
        with EmbeddedServer.join(line.store_folder):
            line.text("import", incidents_file())
            done = line.json("archive", "run", "--to-end", RUNSTORE_SEAL_KEY=KEY)
            found = json.loads(verified(line, "--json").stdout)
        assert done["events"] == found["events"] == found["compared"] == 87_285
        assert (found["finding_count"], found["signatures"]) == (0, "good")
    finally:
        line.close()


def test_the_doctor_tells_of_the_archive_and_of_what_was_lost(line: CommandLine) -> None:
    with EmbeddedServer.join(line.store_folder) as server:
        found = json.loads(line.run("doctor", "--json").stdout)
        assert (found["archive"]["state"], found["archive"]["behind_events"]) == ("archiving", 0)
        assert not [text for text in found["wrong"] if "archiv" in text]
        import redis  # noqa: PLC0415 - a look past the store

        with redis.Redis.from_url(server.url) as admin:
            admin.delete(*admin.scan_iter("{runs:*:tail"), *admin.scan_iter("{runs:*:log"))
        refused = line.run("archive", "run", "--to-end", RUNSTORE_SEAL_KEY=KEY)
        assert (refused.returncode, "lost acknowledged writes" in refused.stderr) == (1, True)
        told = line.run("doctor", "--json")
        wrong = json.loads(told.stdout)["wrong"]
        assert told.returncode == 1
        assert [text for text in wrong if text.startswith("archiving stopped")]
        assert [text for text in wrong if "runstore archive lost" in text]
