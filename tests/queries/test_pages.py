"""Pages hold everything once, and a cursor serves its own query only."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import orjson
import pytest

from eventstore.errors import InvalidArgument
from projections import Calls, Database, Page, Pauses, Runs, Timeline
from projections.queries.pauses import ORDERS as PAUSE_ORDERS
from projections.queries.runs import ORDERS
from queries.small_runs import at

SQL = "x' OR 1=1; DROP TABLE runs; --"


def pages(ask: Callable[..., Page[Any]], **filters: Any) -> list[list[Any]]:
    """Follow the cursors to the end."""
    found, cursor = [], None
    while True:
        page = ask(**filters, cursor=cursor)
        found.append(page.items)
        cursor = page.next_cursor
        if cursor is None:
            return found


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("limit", [1, 2, 5])
def test_pages_of_runs_hold_each_run_once(runs: Runs, order: str, limit: int) -> None:
    whole = runs.list_runs(order=order)
    found = pages(runs.list_runs, order=order, limit=limit)
    assert [run for page in found for run in page] == whole.items
    assert {len(page) for page in found[:-1]} <= {limit}


@pytest.mark.parametrize("order", PAUSE_ORDERS)
def test_pages_of_pauses_hold_each_pause_once(pauses: Pauses, order: str) -> None:
    found = pages(pauses.list_pauses, order=order, limit=1)
    assert [pause for page in found for pause in page] == pauses.list_pauses(order=order).items


@pytest.mark.parametrize("newest_first", [False, True])
@pytest.mark.parametrize("whose", [{"run_id": "done"}, {"workflow_id": "intake"}])
def test_pages_of_the_timeline_hold_each_event_once(
    timeline: Timeline, whose: dict[str, str], newest_first: bool
) -> None:
    asked: dict[str, Any] = {**whose, "newest_first": newest_first}
    found = pages(timeline.timeline, **asked, limit=3)
    assert [entry for page in found for entry in page] == timeline.timeline(**asked).items


def test_a_page_that_is_just_full_is_the_last(runs: Runs) -> None:
    assert runs.list_runs(limit=5).next_cursor is None
    assert runs.list_runs(limit=4).next_cursor is not None


def test_a_cursor_goes_on_with_another_limit(runs: Runs) -> None:
    cursor = runs.list_runs(limit=1).next_cursor
    assert len(runs.list_runs(limit=4, cursor=cursor).items) == 4


def there_and_back(ask: Callable[..., Page[Any]], **filters: Any) -> None:
    """Walk to the end and back again: the same pages, in the same order."""
    there, cursor = [ask(**filters)], None
    assert there[0].previous_cursor is None
    while cursor := there[-1].next_cursor:
        there.append(ask(**filters, cursor=cursor))
    back = [there[-1]]
    while cursor := back[-1].previous_cursor:
        back.append(ask(**filters, cursor=cursor))
    assert [page.items for page in reversed(back)] == [page.items for page in there]
    assert back[-1].next_cursor == there[0].next_cursor


@pytest.mark.parametrize("order", ORDERS)
def test_pages_of_runs_lead_back(runs: Runs, order: str) -> None:
    there_and_back(runs.list_runs, order=order, limit=1)
    there_and_back(runs.list_runs, order=order, limit=5)


@pytest.mark.parametrize("order", PAUSE_ORDERS)
def test_pages_of_pauses_lead_back(pauses: Pauses, order: str) -> None:
    there_and_back(pauses.list_pauses, order=order, limit=1)


@pytest.mark.parametrize("newest_first", [False, True])
@pytest.mark.parametrize("whose", [{"run_id": "done"}, {"workflow_id": "intake"}])
def test_pages_of_the_timeline_lead_back(
    timeline: Timeline, whose: dict[str, str], newest_first: bool
) -> None:
    there_and_back(timeline.timeline, **whose, newest_first=newest_first, limit=2)


def test_pages_of_all_other_lists_lead_back(database: Database) -> None:
    timeline, runs = Timeline(database), Runs(database)
    there_and_back(lambda **more: timeline.search("ask", **more), limit=1)
    there_and_back(lambda **more: Pauses(database).checkpoints("waiting", **more), limit=1)
    there_and_back(Calls(database).list_calls, limit=1)
    there_and_back(lambda **more: runs.distinct("label_value", label="team", **more), limit=1)


def test_a_page_back_that_is_not_full_begins_the_list(runs: Runs) -> None:
    second = runs.list_runs(limit=1, cursor=runs.list_runs(limit=1).next_cursor)
    before = runs.list_runs(limit=3, cursor=second.previous_cursor)
    assert before.items == runs.list_runs(limit=1).items
    assert before.previous_cursor is None


def forged(owner_of: str, *key: Any) -> str:
    padded = owner_of + "=" * (-len(owner_of) % 4)
    owner, *_ = orjson.loads(base64.urlsafe_b64decode(padded))
    return base64.urlsafe_b64encode(orjson.dumps([owner, ">", *key])).decode().rstrip("=")


def test_a_cursor_of_another_query_is_refused(runs: Runs, pauses: Pauses) -> None:
    cursor = runs.list_runs(limit=1).next_cursor
    for asked in ({"order": "created"}, {"workflow_id": "intake"}, {"created_after": at(0)}):
        with pytest.raises(InvalidArgument, match="another query"):
            runs.list_runs(**asked, cursor=cursor)
    with pytest.raises(InvalidArgument, match="another query"):
        pauses.list_pauses(cursor=cursor)


@pytest.mark.parametrize(
    "cursor",
    ["", "x", "%%%", "é", "e30", "W10", "WzFd", "bnVsbA", SQL, "A" * 5_000, 7, b"e30", ["a"]],
)
def test_garbage_is_no_cursor(runs: Runs, cursor: Any) -> None:
    with pytest.raises(InvalidArgument, match="cursor"):
        runs.list_runs(cursor=cursor)


@pytest.mark.parametrize(
    "key", [(), (1,), ("1", "a"), (1, 2), (1, "a", 3), (True, "a"), (2**63, "a"), (None, None)]
)
def test_a_cursor_with_another_key_is_refused(runs: Runs, key: tuple[Any, ...]) -> None:
    cursor = runs.list_runs(limit=1).next_cursor
    assert cursor is not None
    with pytest.raises(InvalidArgument, match="cursor"):
        runs.list_runs(cursor=forged(cursor, *key))


@pytest.mark.parametrize("rest", [[], ["="], ["<"], [1, "a"], [["<"], 1, "a"], [None, 1, "a"]])
def test_a_cursor_that_leads_nowhere_is_refused(runs: Runs, rest: list[Any]) -> None:
    cursor = runs.list_runs(limit=1).next_cursor
    assert cursor is not None
    owner, *_ = orjson.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    with pytest.raises(InvalidArgument, match="cursor"):
        runs.list_runs(cursor=base64.urlsafe_b64encode(orjson.dumps([owner, *rest])).decode())
