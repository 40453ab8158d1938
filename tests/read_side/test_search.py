"""Events are found by their words: whether the search was fed or not, with FTS5 or without."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from histories import project, record
from hypothesis import given, settings
from hypothesis import strategies as st

from eventstore.errors import InvalidArgument
from projections import Database, Runs, Timeline, open_database
from projections.search import feed, feed_search, has_backlog
from projections.search.words import asked_words, folded, holds, parts
from read_side.agent_runs import at, event


def fed(path: Path) -> None:
    with open_database(path) as database:
        while feed_search(database, 3):
            pass
        assert not has_backlog(database)


@pytest.fixture(params=["queued", "fed", "half fed", "without FTS5"])
def searched(
    path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Database]:
    if request.param == "without FTS5":
        monkeypatch.setattr(feed, "_HAS_FTS5", "SELECT 1 WHERE FALSE")
    if request.param in ("fed", "without FTS5"):
        fed(path)
    elif request.param == "half fed":
        with open_database(path) as database:
            assert feed_search(database, 1)
    with open_database(path, read_only=True) as database:
        assert has_backlog(database) == (request.param in ("queued", "half fed"))
        yield database


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("refund", "ask-2/6 ask-2/2"),
        ("REFUND failed", "ask-2/6"),
        ("cafe", "ask-1/1"),
        ("Café", "ask-1/1"),
        ("ref*", "ask-2/6 ask-2/2"),
        ("ref", ""),
        ("fund", ""),
        ("invo* where", "ask-1/2 ask-1/1"),
        ("top", "plan-1/3"),
        ("over_the_top", "plan-1/3"),
        ("100%", "plan-1/3"),
        ("nai*", "plan-1/3"),
        ("990", "ask-2/6"),
        ("nowhere", ""),
    ],
)
def test_events_are_found_by_their_words_newest_first(
    searched: Database, text: str, found: str
) -> None:
    items = Timeline(searched).search(text).items
    assert {f"{item.run_id}/{item.version}" for item in items} == set(found.split())
    assert len(items) == len(found.split())
    of_one_run = [item.version for item in items if item.run_id == "ask-2"]
    assert of_one_run == sorted(of_one_run, reverse=True)


@pytest.mark.parametrize(
    ("filters", "count"),
    [
        ({}, 3),
        ({"run_id": "ask-1"}, 1),
        ({"run_id": "nobody"}, 0),
        ({"workflow_id": "support", "sources": "call"}, 1),
        ({"types": ["run.failed", "node.failed"]}, 2),
        ({"since": at(23)}, 2),
        ({"until": at(23)}, 1),
    ],
)
def test_a_search_takes_the_filters_of_a_timeline(
    searched: Database, filters: dict[str, Any], count: int
) -> None:
    assert len(Timeline(searched).search("bank timeout", **filters).items) == count


@pytest.mark.parametrize(
    ("text", "found"),
    [("refund", "ask-2"), ("bank timeout", "ask-2 ask-1"), ("plan trip", "plan-1"), ("z*", "")],
)
def test_runs_are_found_by_the_words_of_an_event(
    searched: Database, text: str, found: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for rare in (1_000, 0):  # looked up, or read in order
        monkeypatch.setattr("projections.queries.narrowing.RARE", rare)
        items = Runs(searched).list_runs(text=text).items
        assert [run.run_id for run in items] == found.split()
    assert Runs(searched).list_runs(text=text, workflow_id="nobody's").items == []


def test_pages_of_a_search_go_on_while_the_search_is_fed(path: Path) -> None:
    with open_database(path, read_only=True) as database:
        timeline = Timeline(database)
        whole = timeline.search("the").items
        first = timeline.search("the", limit=2)
        fed(path)
        rest = timeline.search("the", limit=1_000, cursor=first.next_cursor)
        back = timeline.search("the", limit=2, cursor=rest.previous_cursor)
    assert first.items + rest.items == whole
    assert len(whole) > 3
    assert back.items == first.items


@pytest.mark.parametrize(("text", "newest"), [("the", 2_000), ("th*", 2_000), ("th*", 3)])
def test_pages_of_a_search_lead_on_and_back(
    searched: Database, monkeypatch: pytest.MonkeyPatch, text: str, newest: int
) -> None:
    monkeypatch.setattr("projections.queries.search.NEWEST", newest)
    timeline = Timeline(searched)
    whole = timeline.search(text).items
    assert len(whole) > 3
    there = [timeline.search(text, limit=1)]
    while cursor := there[-1].next_cursor:
        there.append(timeline.search(text, limit=1, cursor=cursor))
    back = [there[-1]]
    while cursor := back[-1].previous_cursor:
        back.append(timeline.search(text, limit=1, cursor=cursor))
    assert [item for page in there for item in page.items] == whole
    assert [page.items for page in reversed(back)] == [page.items for page in there]


def test_a_database_that_may_be_written_is_fed_by_asking(path: Path) -> None:
    with open_database(path) as database:
        assert has_backlog(database)
        assert len(Timeline(database).search("refund").items) == 2
        assert not has_backlog(database)


def test_a_timeline_that_a_rebuild_put_in_place_is_taken_up_anew(path: Path) -> None:
    fed(path)
    with closing(sqlite3.connect(path)) as live:
        live.execute("UPDATE projections SET generation = 'anew' WHERE name = 'timeline'")
        live.execute("UPDATE timeline SET data = replace(data, 'refund', 'rebate')")
        live.commit()
    with open_database(path) as database:
        assert has_backlog(database)
        found = Timeline(database).search("rebate").items
        assert [(item.run_id, item.version) for item in found] == [("ask-2", 2)]
        assert not has_backlog(database)


def test_feeding_is_bounded_and_repeats_nothing(path: Path) -> None:
    with open_database(path) as database:
        rounds = 0
        while feed_search(database, 1):
            rounds += 1
        with database.snapshot() as tx:
            twice = tx.execute(
                "SELECT run_id, version FROM search_texts GROUP BY 1, 2 HAVING count(*) > 1"
            )
    assert rounds > 1
    assert twice == []


@pytest.mark.parametrize(
    "text", ["", "  ", "%", "*", "_-_", "'; --", "\U0001f600", "a " * 10 + "b" * 9]
)
def test_what_has_no_words_or_too_many_is_refused_or_taken(database: Database, text: str) -> None:
    if text.startswith("a"):
        assert Timeline(database).search(text).items == []
        return
    with pytest.raises(InvalidArgument, match="words"):
        Timeline(database).search(text)


@pytest.mark.parametrize("text", [7, None, b"refund", "\ud800"])
def test_only_a_text_can_be_sought(database: Database, text: Any) -> None:
    with pytest.raises(InvalidArgument, match="text"):
        Timeline(database).search(text)
    with pytest.raises(InvalidArgument, match="text"):
        Runs(database).list_runs(text=text if text is not None else 7)


@pytest.mark.parametrize(
    "text",
    ['"', 'refund" OR "x', "refund OR invoice", "NEAR(refund)", "text: refund", "^refund -x"],
)
def test_the_language_of_full_text_search_is_only_words(path: Path, text: str) -> None:
    fed(path)
    with open_database(path, read_only=True) as database:
        if not any(letter.isalnum() for letter in text):
            with pytest.raises(InvalidArgument):
                Timeline(database).search(text)
            return
        assert Timeline(database).search(text).items == []


words = st.lists(st.text(max_size=6), max_size=5)


@settings(deadline=None, max_examples=40)
@given(st.lists(words, min_size=1, max_size=5), words)
def test_full_text_and_plain_reading_find_the_same(
    tmp_path_factory: pytest.TempPathFactory, said: list[list[str]], asked: list[str]
) -> None:
    path = tmp_path_factory.mktemp("words") / "runs.db"
    texts = [" ".join(one) for one in said]
    project(path, record("r", [event("log.emitted", 1, message=text) for text in texts]))
    question = " ".join([*asked, said[0][0] if said[0] else ""])
    try:
        wanted = asked_words(question)
    except InvalidArgument:
        return
    expected = {n for n, text in enumerate(texts, 1) if holds(folded(text), wanted)}
    with open_database(path, read_only=True) as database:
        waiting = {item.version for item in Timeline(database).search(question).items}
    fed(path)
    with open_database(path, read_only=True) as database:
        matched = {item.version for item in Timeline(database).search(question).items}
        with database.snapshot() as tx:
            read = tx.execute(
                "SELECT version FROM search_texts WHERE TRUE" + " AND instr(text, ?)" * len(wanted),
                parts(wanted),
            )
    assert waiting == matched == {version for (version,) in read}
    assert matched == expected
