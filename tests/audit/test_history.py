"""Who did what to a run, each event below the one that it comes of."""

from __future__ import annotations

from typing import Any

import pytest
from histories import histories, record
from hypothesis import given
from samples import paused, resumed

from eventstore import EventStore, NewEvent, RunNotFound, SyncEventStore
from replay.audit import Audit, Deed, SyncAudit, history_of


def noted(name: str, cause: str | None = None, **meta: Any) -> NewEvent:
    named = {"causation_id": cause} if cause else {}
    return NewEvent("note.taken", id=name, meta={**named, **meta})


def tree(*events: NewEvent) -> list[tuple[int, int, int | None, str | None]]:
    """Give version, depth, cause and link of each event, in the order of the tree."""
    deeds = history_of(record("run", events))
    return [(one.version, one.depth, one.cause, one.link) for one in deeds]


def test_an_event_stands_below_the_cause_that_it_names() -> None:
    found = tree(noted("a"), noted("b"), noted("c", "a"), noted("d", "c"), noted("e", "b"))
    assert found == [
        (1, 0, None, None),
        (3, 1, 1, "causation"),
        (4, 2, 3, "causation"),
        (2, 0, None, None),
        (5, 1, 2, "causation"),
    ]


def test_a_cause_that_is_elsewhere_or_later_is_left_to_the_reader() -> None:
    deeds = history_of(record("run", [noted("a", "b"), noted("b", "elsewhere"), noted("c", "c")]))
    assert [(one.depth, one.cause, one.causation_id) for one in deeds] == [
        (0, None, "b"),
        (0, None, "elsewhere"),
        (0, None, "c"),
    ]


def test_what_a_pause_a_call_or_an_attempt_began_stands_below_it() -> None:
    node = {"node_id": "n"}
    found = tree(
        NewEvent("node.queued", node),
        NewEvent("node.started", node),
        NewEvent("call.started", {"call_id": "c", "node_id": "n"}),
        NewEvent("call.completed", {"call_id": "c"}),
        paused("p"),
        resumed("p"),
        NewEvent("node.completed", node),
        NewEvent("node.started", node),
        NewEvent("log.emitted", {"message": "m", "node_id": "n"}),
    )
    assert [(version, depth) for version, depth, _, _ in found] == [
        *((1, 0), (2, 1), (3, 2), (4, 3), (7, 2)),
        *((5, 0), (6, 1), (8, 0), (9, 1)),
    ]
    assert {link for *_, link in found} == {None, "implied"}


def test_who_and_when_and_what_about_are_told() -> None:
    events = [
        noted("a", actor="ann", correlation_id="order-7"),
        NewEvent("run.resumed", {"pause_id": "p", "cause": "manual", "actor": "bob"}),
    ]
    one, two = history_of(record("run", events))
    assert isinstance(one, Deed)
    assert (one.actor, one.correlation_id, one.event_id) == ("ann", "order-7", "a")
    assert (two.actor, two.about) == ("bob", "p")
    assert two.occurred_at == two.recorded_at


def test_a_chain_of_causes_may_be_long() -> None:
    events = [noted("0"), *[noted(str(n), str(n - 1)) for n in range(1, 5_000)]]
    deeds = history_of(record("run", events))
    assert [one.depth for one in deeds] == list(range(5_000))


@given(history=histories())
def test_every_event_stands_in_the_tree_once_below_an_earlier_one(history: list[NewEvent]) -> None:
    deeds = history_of(record("run", history))
    assert sorted(one.version for one in deeds) == list(range(1, len(history) + 1))
    depths = {one.version: one.depth for one in deeds}
    for one in deeds:
        assert one.cause is None or one.cause < one.version
        assert one.depth == (0 if one.cause is None else depths[one.cause] + 1)


@pytest.mark.parametrize("server", ["valkey"], indirect=True)
async def test_both_forms_tell_the_same(store: EventStore, sync_store: SyncEventStore) -> None:
    await store.append("run", [noted("a"), noted("b", "a")])
    found = await Audit(store).history("run")
    assert found == SyncAudit(sync_store).history("run")
    assert [one.depth for one in found] == [0, 1]
    with pytest.raises(RunNotFound):
        await Audit(store).history("nobody")
