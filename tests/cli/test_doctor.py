"""``runstore doctor``: what it tells of server, store and database, and how it exits."""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from archive.filing import archived
from command_line import CommandLine
from faults import eventually
from samples import contents, go_back, noted
from servers import AnyServer, Server

from eventstore import NewEvent, SyncEventStore
from eventstore.server import EmbeddedServer
from projections import Projector, open_database
from replay import SyncRunControl

Launch = Callable[..., Server]


def examined(cli: CommandLine, *arguments: object) -> tuple[int, dict[str, Any]]:
    """Run it; give its exit code and what it found."""
    done = cli.run("doctor", "--json", *arguments)
    assert done.stderr == ""
    return done.returncode, json.loads(done.stdout)


def damage(path: Path, table: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        ((root,),) = connection.execute(
            "SELECT rootpage FROM sqlite_master WHERE name = ?", (table,)
        )
        ((page_bytes,),) = connection.execute("PRAGMA page_size")
    with path.open("r+b") as file:
        file.seek((root - 1) * page_bytes)
        file.write(b"\xaa" * page_bytes)


def append_run(store: SyncEventStore, run_id: str = "r") -> None:
    store.append(run_id, [NewEvent("run.created", {}), NewEvent("run.started", {})])


def project_all(store: SyncEventStore, path: Path) -> None:
    with open_database(path) as database, Projector(store, database) as projector:
        projector.run_to_end()


def test_an_empty_folder_is_told_and_left_empty(cli: CommandLine) -> None:
    code, found = examined(cli)

    assert code == 0
    assert found["server"]["state"] == "nothing here yet"
    assert os.access(found["server"]["would_start"], os.X_OK)
    assert found["server"]["source"]
    assert any("runstore import" in hint for hint in found["hints"])
    assert not list(cli.folder.iterdir())


def test_a_running_embedded_server_is_told_in_full(cli: CommandLine) -> None:
    with SyncEventStore.open(folder=cli.store_folder, partitions=4) as store:
        append_run(store)
        project_all(store, cli.database)
        append_run(store, "s")
        SyncRunControl(store).pause("s", state={}, window=0, on_expiry="park")

        code, found = examined(cli)
        words = cli.text("doctor")
        with EmbeddedServer.join(cli.store_folder) as embedded:
            pid = embedded.pid

        server, held, database = found["server"], found["store"], found["database"]
        assert (code, found["wrong"], found["unknown"]) == (0, [], [])
        assert (server["state"], server["pid"], server["kind"]) == ("running", pid, "embedded")
        assert re.fullmatch(r"(Valkey|Redis) \d+\.\d+\.\d+", server["version"])
        assert os.access(server["binary"], os.X_OK)
        assert (server["append_only_file"], server["fsync"]) == (True, "everysec")
        assert server["eviction_policy"] == "noeviction"
        assert server["memory_used_bytes"] > 100_000
        assert 0 < server["round_trip_ms"] < 1_000
        assert (held["id"], held["partitions"]) == (store.identity, 4)
        assert (held["events"], held["due_timers"]) == (5, 1)
        assert (database["events"], database["behind_events"]) == (2, 3)
        assert database["size_bytes"] > 10_000
        assert database["schema"] >= 4
    for part in ("running", "everysec", server["binary"], "3 events are not", "runstore restore"):
        assert part in words
    assert words.endswith("nothing is wrong\n")


def test_a_stopped_server_is_not_started(cli: CommandLine) -> None:
    with SyncEventStore.open(folder=cli.store_folder) as store:
        append_run(store)
        project_all(store, cli.database)

    code, found = examined(cli)

    assert (code, found["server"]["state"], found["database"]["events"]) == (0, "stopped", 2)
    assert found["database"]["behind_events"] is None
    assert not (cli.store_folder / "server" / "server.sock").exists()


def test_a_server_that_does_not_answer_is_not_seen(cli: CommandLine) -> None:
    with EmbeddedServer.join(cli.store_folder) as embedded:
        os.kill(embedded.pid, signal.SIGSTOP)
        try:
            code, found = examined(cli)
        finally:
            os.kill(embedded.pid, signal.SIGCONT)

    assert code == 2
    assert "silent" in found["unknown"][0]


def test_a_folder_without_any_server_program_says_what_to_install(cli: CommandLine) -> None:
    done = cli.run("doctor", RUNSTORE_SERVER_BINARY="/nothing/here")

    assert done.returncode == 1
    assert "wrong: RUNSTORE_SERVER_BINARY names" in done.stdout


@pytest.mark.parametrize("server", ["valkey", "redis6", "redis7"], indirect=True)
def test_a_store_that_does_not_exist_is_not_made(cli: CommandLine, server: AnyServer) -> None:
    code, found = examined(cli, "--url", server.url, "--namespace", "unheard-of")

    assert code == 0
    assert found["store"] == {"namespace": "unheard-of", "exists": False}
    assert server.keys("unheard-of") == set()


def test_a_server_that_may_lose_history_is_wrong(cli: CommandLine, launch: Launch) -> None:
    server = launch("redis7", options={"maxmemory-policy": "allkeys-lru", "appendonly": "no"})
    most = int(server.admin.info("memory")["used_memory"] * 1.05)
    server.admin.config_set("maxmemory", most)

    code, found = examined(cli, "--url", server.url)

    assert code == 1
    wrong = "\n".join(found["wrong"])
    for part in ("allkeys-lru", "CONFIG SET appendonly yes", "raise maxmemory"):
        assert part in wrong
    assert found["server"]["memory_max_bytes"] == most
    words = cli.run("--url", server.url, "doctor").stdout
    assert len(re.findall("^wrong: ", words, re.MULTILINE)) == 3


def test_a_replica_is_the_wrong_server(cli: CommandLine, launch: Launch) -> None:
    server = launch("redis7", options={"replicaof": "127.0.0.1 1"})

    code, found = examined(cli, "--url", server.url)

    assert code == 1
    assert any("replica" in wrong for wrong in found["wrong"])


@pytest.mark.parametrize("server", ["valkey"], indirect=True)
def test_another_number_of_partitions_or_layout_is_wrong(
    cli: CommandLine, server: AnyServer, namespace: str, sync_store: SyncEventStore
) -> None:
    server.admin.hset(f"{namespace}:meta", "layout", "99")
    place = ("--url", server.url, "--namespace", namespace)

    code, found = examined(cli, *place, "--partitions", 3)

    assert code == 1
    assert any("16 partitions, not 3" in wrong for wrong in found["wrong"])
    assert any("layout is 99" in wrong for wrong in found["wrong"])


@pytest.mark.parametrize("server", ["valkey"], indirect=True)
def test_a_log_that_lost_its_end_is_wrong(
    cli: CommandLine, server: AnyServer, namespace: str, sync_store: SyncEventStore
) -> None:
    append_run(sync_store)
    path = cli.folder / "x.db"
    project_all(sync_store, path)
    (tail,) = (place for place in sync_store.tails().values() if place.n)
    server.admin.set(f"{{{namespace}:{tail.partition}}}:tail", f"{tail.ms - 1}-1")

    code, found = examined(cli, "--url", server.url, "--namespace", namespace, "--database", path)

    assert code == 1
    assert any("lost acknowledged writes" in wrong for wrong in found["wrong"])


@pytest.mark.parametrize("server", ["valkey"], indirect=True)
@pytest.mark.parametrize("more", [1, 5], ids=["fewer", "more"])
def test_a_log_whose_end_others_took_is_wrong(
    cli: CommandLine, server: AnyServer, namespace: str, sync_store: SyncEventStore, more: int
) -> None:
    """It ends later than what is known of it; an older copy was put back, and gone on with."""
    append_run(sync_store)
    copy = contents(server, namespace)
    sync_store.append("r", [noted(), noted()])
    project_all(sync_store, cli.folder / "x.db")
    archived(sync_store, cli.folder / "a.db")
    go_back(server, namespace, copy)
    before = server.admin.time()
    eventually(lambda: server.admin.time() > (before[0], before[1] + 1_000))
    for _ in range(more):
        sync_store.append("r", noted())
    place = ("--url", server.url, "--namespace", namespace)

    code, rows = examined(cli, *place, "--database", cli.folder / "x.db")
    archive_code, kept = examined(cli, *place, "--archive", cli.folder / "a.db")

    assert (code, archive_code) == (1, 1)
    assert any("project rebuild" in told for told in rows["wrong"])
    assert any("runstore archive put-back" in told for told in kept["wrong"])


@pytest.mark.parametrize("server", ["valkey"], indirect=True)
def test_an_emptied_server_whose_events_are_archived_is_wrong(
    cli: CommandLine, server: AnyServer, namespace: str, sync_store: SyncEventStore
) -> None:
    append_run(sync_store)
    archived(sync_store, cli.folder / "a.db")
    place = ("--url", server.url, "--namespace", namespace, "--archive", cli.folder / "a.db")
    server.forget(namespace)

    code, found = examined(cli, *place)

    assert code == 1
    assert any("runstore archive put-back" in told for told in found["wrong"])
    assert server.keys(namespace) == set()


@pytest.mark.parametrize("server", ["valkey"], indirect=True)
def test_a_database_of_another_store_or_of_none_is_wrong(
    cli: CommandLine, server: AnyServer, namespace: str, sync_store: SyncEventStore
) -> None:
    with SyncEventStore.open(folder=cli.store_folder) as other:
        append_run(other)
        project_all(other, cli.database)
    (cli.folder / "none.db").write_text("hello")
    place = ("--url", server.url, "--namespace", namespace)

    code, found = examined(cli, *place, "--database", cli.database)
    none_code, none = examined(cli, *place, "--database", cli.folder / "none.db")

    assert (code, none_code) == (1, 1)
    assert any("another database" in wrong for wrong in found["wrong"])
    assert any("no SQLite database" in wrong for wrong in none["wrong"])


def test_a_damaged_page_that_no_query_met_yet_is_told(cli: CommandLine) -> None:
    # given a database with nonsense on a page
    cli.store_folder.mkdir()
    with SyncEventStore.open(folder=cli.store_folder) as store:
        append_run(store)
        project_all(store, cli.database)
    damage(cli.database, "calls")
    # when someone looks at everything
    code, found = examined(cli)
    # then that is wrong, and what helps is said
    assert code == 1
    assert any("rebuild --damaged" in told for told in found["wrong"])
