"""A rerun leaves out a node and what came of it, as far as events tell, and keeps the rest."""

from __future__ import annotations

from typing import Any

import pytest
from histories import histories
from hypothesis import HealthCheck, given, settings
from replaying import travel
from samples import contents, ended, paused
from servers import AnyServer

from eventstore import InvalidArgument, NewEvent, RunNotFound, SyncEventStore
from eventstore.events.identifiers import new_id
from replay import SyncTimeTravel

ON_A_REAL_SERVER = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
ONE_SERVER = pytest.mark.parametrize("server", ["valkey"], indirect=True)


def node(kind: str, name: str, *, cause: str | None = None, **data: Any) -> NewEvent:
    """Make an event of a node, with the id ``<node>.<kind>``."""
    meta = {"causation_id": cause} if cause else {}
    return NewEvent(f"node.{kind}", {"node_id": name, **data}, id=f"{name}.{kind}", meta=meta)


def ran(name: str, *, cause: str | None = None, inputs: Any = None) -> list[NewEvent]:
    """Make the events of a node that ran, and patched the state by its name."""
    said = {} if inputs is None else {"inputs": inputs}
    return [node("started", name, cause=cause, **said), node("completed", name, patch={name: 1})]


async def rerun(store: Any, *runs: Any, keep: tuple[str, ...] = ()) -> tuple[Any, dict[str, Any]]:
    """Rerun, from node b on, a run that began and then did this; give the fork and its state."""
    events = [event for run in runs for event in (run if isinstance(run, list) else [run])]
    await store.append("run", [NewEvent("run.created", {"input": 7}), *events])
    fork = await travel(store).rerun_from("run", "b", "again", keep=keep)
    return fork, (await travel(store).state_at("again")).state


async def test_what_came_before_stays_and_what_says_nothing_goes(any_store: Any) -> None:
    fork, state = await rerun(any_store, ran("a"), ran("b"), ran("c"), ended())
    assert (fork.parent, fork.parent_version, fork.version) == ("run", 3, 3)
    assert (fork.cleared, fork.kept, state) == (("b", "c"), (), {"a": 1})
    assert not (await any_store.head("again")).closed
    assert (await any_store.load("again"))[0].data["parent_version"] == 3


async def test_a_rerun_that_names_no_run_makes_one(any_store: Any) -> None:
    await any_store.append("run", [NewEvent("run.created"), *ran("b")])
    made = [await travel(any_store).rerun_from("run", "b") for _ in range(2)]
    assert [fork.parent for fork in made] == ["run", "run"]
    assert len({"run", *(fork.run_id for fork in made)}) == 3
    assert (await any_store.head(made[0].run_id)).version == 1


@ONE_SERVER
@pytest.mark.parametrize(
    ("inputs", "cause", "stays"),
    [
        ({"a": "output"}, None, True),
        ({"from": ["a"]}, None, True),
        ({"b": "output"}, None, False),
        ({"x": {"node": "b"}}, None, False),
        ({"a": 1, "b": 2}, None, False),
        ({"other": 1}, None, False),  # it names no node
        (None, "a.completed", True),
        (None, "b.completed", False),
        (None, "elsewhere", False),
        ({"a": 1}, "b.completed", False),
        ({"b": 1}, "a.completed", False),
    ],
)
async def test_causes_and_inputs_tell_what_came_of_a_node(
    any_store: Any, inputs: Any, cause: str | None, stays: bool
) -> None:
    fork, state = await rerun(any_store, ran("a"), ran("b"), ran("c", cause=cause, inputs=inputs))
    assert ("c" in fork.kept, "c" in fork.cleared) == (stays, not stays)
    assert state == ({"a": 1, "c": 1} if stays else {"a": 1})


async def test_causes_are_followed_over_several_nodes(any_store: Any) -> None:
    fork, _ = await rerun(
        any_store,
        *(ran("a"), ran("b")),
        *(ran("c", inputs={"b": 1}), ran("d", inputs={"c": 1}), ran("e", inputs={"a": 1})),
        *(ran("f", cause="e.completed"), ran("g", cause="d.completed", inputs={"a": 1})),
    )
    assert (fork.cleared, fork.kept) == (("b", "c", "d", "g"), ("e", "f"))


async def test_a_branch_that_had_begun_before_goes_on(any_store: Any) -> None:
    # given a node that ran beside it, with a call that ended later
    call = {"call_id": "c1", "node_id": "side"}
    fork, state = await rerun(
        any_store,
        *(node("started", "side"), NewEvent("call.started", {**call, "kind": "tool", "name": "x"})),
        *(ran("b"), NewEvent("call.completed", {"call_id": "c1"})),
        node("completed", "side", patch={"side": 1}),
        # and that then ran again, which says nothing of why
        *(node("queued", "side"), NewEvent("log.emitted", {"message": "m", "node_id": "side"})),
    )
    kinds = [event.type for event in await any_store.load("again")]
    assert kinds == ["run.created", "node.started", "call.started", "call.completed",
                     "node.completed"]  # fmt: skip
    assert (fork.cleared, fork.kept, state) == (("b", "side"), ("side",), {"side": 1})


async def test_nodes_that_are_to_be_kept_come_along(any_store: Any) -> None:
    fork, state = await rerun(
        any_store, ran("b"), ran("c"), ran("d"), ran("e", inputs={"c": 1}), keep=("c",)
    )
    assert (fork.cleared, fork.kept, state) == (("b", "d"), ("c", "e"), {"c": 1, "e": 1})


async def test_what_belongs_to_no_node_goes(any_store: Any) -> None:
    await rerun(
        any_store,
        *(ran("a"), ran("b"), paused(), NewEvent("run.patched", {"patch": {"x": 1}})),
        NewEvent("checkpoint.saved", {"state": {"b": 1}}),
    )
    state = await travel(any_store).state_at("again")
    assert (state.status, state.state, state.pauses) == ("running", {"a": 1}, {})


async def test_a_rerun_is_found_again_and_can_be_tried(
    any_store: Any, server: AnyServer, namespace: str
) -> None:
    await any_store.append("run", [NewEvent("run.created"), *ran("a"), *ran("b")])
    before = contents(server, namespace)
    tried = await travel(any_store).rerun_from("run", "b", "again", patch={"x": 1}, dry_run=True)
    assert contents(server, namespace) == before
    made = await travel(any_store).rerun_from("run", "b", "again", patch={"x": 1})
    again = await travel(any_store).rerun_from("run", "b", "again", patch={"x": 1})
    assert tried == made
    assert (again.already_there, again.version) == (True, 4)


@ONE_SERVER
@pytest.mark.parametrize(
    ("node_id", "keep", "reason"),
    [
        ("nowhere", (), "has no node 'nowhere'; it has: a, b"),
        ("b", ("nowhere",), "has no node 'nowhere' to keep"),
        ("b", ("b",), "cannot be kept"),
        ("b", "a", "takes a list"),
    ],
)
async def test_a_node_that_is_not_there_is_refused(
    any_store: Any, node_id: str, keep: Any, reason: str
) -> None:
    await any_store.append("run", [NewEvent("run.created"), *ran("a"), *ran("b")])
    with pytest.raises(InvalidArgument, match=reason):
        await travel(any_store).rerun_from("run", node_id, "again", keep=keep)
    with pytest.raises(RunNotFound):
        await any_store.head("again")


@ONE_SERVER
async def test_a_run_that_begins_with_the_node_is_refused(any_store: Any) -> None:
    await any_store.append("run", ran("b"))
    with pytest.raises(InvalidArgument, match="nothing would be left"):
        await travel(any_store).rerun_from("run", "b", "again")


@ONE_SERVER
@ON_A_REAL_SERVER
@given(history=histories(max_events=20))
def test_a_rerun_knows_its_parents_state_and_no_trace_of_the_node(
    sync_store: SyncEventStore, history: list[NewEvent]
) -> None:
    run_id = new_id()
    sync_store.append(run_id, history)
    travels = SyncTimeTravel(sync_store)
    for name in {event.data["node_id"] for event in history if event.type.startswith("node.")
                 and "node_id" in event.data}:  # fmt: skip
        fork = travels.rerun_from(run_id, name, f"{run_id}-{name}")
        events, known = sync_store.load(fork.run_id), sync_store.load(run_id)
        nodes = [event.data.get("node_id") for event in events if event.type.startswith("node.")]
        assert name not in nodes
        before = travels.state_at(run_id, fork.parent_version)
        found = travels.state_at(fork.run_id, fork.parent_version)
        assert (found.state, found.nodes, found.pauses) == (
            *(before.state, before.nodes),
            before.pauses,
        )
        ids = [event.id for event in known]
        assert [event.id for event in events] == [i for i in ids if i in {e.id for e in events}]
