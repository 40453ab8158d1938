"""A deleted run is forgotten: by every table, by the search, by the file."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from histories import dump, project
from queries.small_runs import RUNS as PAUSED_RUNS

from eventstore.errors import RunNotFound
from projections import Agents, Calls, Pauses, Runs, Stats, Timeline, open_database
from projections.search import feed_search
from read_side.agent_runs import RUNS, at, event, log

PERSON = "Kleopatra"
SPEAKING = [
    event("run.created", 40, input=f"{PERSON} asks", labels={"who": PERSON}, definition_hash="v9"),
    event("message.added", 41, thread_id="t-1", role="user", content=f"I am {PERSON}"),
    event("message.added", 41, thread_id="t-9", role="user", content=f"{PERSON} again"),
    event("node.started", 42, node_id=PERSON),
    event("node.started", 42, node_id=PERSON),
    event("call.started", 43, call_id=PERSON, kind="tool", name=PERSON),
    PAUSED_RUNS["done"][3],
    event("log.emitted", 44, message=f"{PERSON} was here"),
]
DELETION = event("run.deleted", 50, reason="asked for", actor="bob")


@pytest.fixture
def forgotten(tmp_path: Path) -> Path:
    """Project a run that tells a secret, let the search take it up, and then delete it."""
    path = tmp_path / "runs.db"
    project(path, log(RUNS | {"secret": SPEAKING}))
    with open_database(path) as database:
        while feed_search(database):
            pass
        assert len(Timeline(database).search(PERSON).items) == 7
    project(path, log(RUNS | {"secret": [*SPEAKING, DELETION]}))
    return path


def test_no_query_finds_it(forgotten: Path) -> None:
    with open_database(forgotten) as database:
        runs, agents, timeline = Runs(database), Agents(database), Timeline(database)
        assert [run.run_id for run in runs.list_runs().items] == ["plan-1", "ask-2", "ask-1"]
        assert runs.distinct("label").items == ["rank", "team"]
        assert runs.distinct("node_id").items == ["look", "think"]
        assert [thread.thread_id for thread in agents.threads().items] == ["t-2", "t-1"]
        assert agents.threads().items[1].messages == 3
        assert Pauses(database).list_pauses().items == []
        assert Calls(database).list_calls(kind="tool").items == []
        assert timeline.search(PERSON).items == []
        assert "run.deleted" not in timeline.counts_by_type()
        assert sum(timeline.counts_by_type().values()) == sum(map(len, RUNS.values()))
        assert sum(day.started for day in Stats(database).activity()) == 3
        for ask in (runs.get_run, runs.nodes, runs.attempts, timeline.timeline):
            with pytest.raises(RunNotFound):
                ask("secret")


def test_that_it_was_there_and_why_it_went_is_kept(forgotten: Path) -> None:
    with open_database(forgotten) as database:
        (deleted,) = Runs(database).deleted_runs().items
        assert Runs(database).deleted_runs(run_id="ask-1").items == []
    assert (deleted.run_id, deleted.version, deleted.deleted_at) == ("secret", 9, at(50))
    assert (deleted.reason, deleted.actor) == ("asked for", "bob")


def test_the_file_holds_nothing_of_it(forgotten: Path) -> None:
    with closing(sqlite3.connect(forgotten)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    content = forgotten.read_bytes()

    assert content.count(b"plan-1") > 0
    assert PERSON.encode() not in content
    assert PERSON.lower().encode() not in content


def test_the_rows_are_those_of_one_that_saw_all_at_once(forgotten: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.db"
    project(other, log(RUNS | {"secret": [*SPEAKING, DELETION]}), batch_events=3)
    assert dump(other) == dump(forgotten)
