"""Consumer groups: where they start, and how they are made."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest
from group_samples import Seen, fill
from samples import noted, notes
from servers import AnyServer

from eventstore import (
    EventStore,
    InvalidArgument,
    Position,
    SyncEventStore,
    UnknownGroup,
)
from eventstore.groups import Backoff, ConsumerGroup

# Where a group starts


async def test_a_group_that_starts_at_the_end_sees_only_what_comes(store: EventStore) -> None:
    await fill(store, runs=20)
    seen = Seen()
    group = ConsumerGroup(store, "g", seen, create=True, start="end")
    assert await group.run_to_end() == 0

    await fill(store, runs=20, each=1)
    await group.run_to_end()

    assert seen.by_run() == {f"run-{n}": [6] for n in range(20)}


async def test_a_group_starts_after_positions_by_partition(store: EventStore) -> None:
    await fill(store, runs=20)
    positions = await store.tails()
    left_out = positions.pop(store.operations.keys.partition_of("run-0"))
    await fill(store, runs=20, each=1)
    seen = Seen()

    await ConsumerGroup(store, "g", seen, create=True, start=positions).run_to_end()

    whole = {f"run-{n}" for n in range(20) if _partition(store, f"run-{n}") == left_out.partition}
    assert "run-0" in whole
    assert seen.by_run() == {
        f"run-{n}": [1, 2, 3, 4, 5, 6] if f"run-{n}" in whole else [6] for n in range(20)
    }


def _partition(store: EventStore, run_id: str) -> int:
    return store.operations.keys.partition_of(run_id)


async def test_a_group_that_starts_after_one_position_misses_nothing_later(
    store: EventStore,
) -> None:
    await fill(store, runs=20)
    position = (await store.append("run-7", noted())).positions[-1]
    await fill(store, runs=20, each=1)
    seen = Seen()

    await ConsumerGroup(store, "g", seen, create=True, start=position).run_to_end()

    assert seen.by_run()["run-7"] == [7]
    assert all(seen.by_run()[f"run-{n}"][-1] >= 6 for n in range(20))
    assert all(event.recorded_at.timestamp() * 1000 >= position.ms - 1 for event in seen.events)


async def test_a_position_beyond_the_log_is_no_start(store: EventStore) -> None:
    at = (await store.append("run", noted())).positions[0]
    beyond = Position(at.partition, at.ms, at.n + 1)

    for start in (beyond, {at.partition: beyond}, Position(99, at.ms, at.n)):
        with pytest.raises(InvalidArgument, match="start"):
            await ConsumerGroup(store, "g", Seen(), create=True, start=start).run_to_end()

    with pytest.raises(UnknownGroup):
        await ConsumerGroup(store, "g", Seen()).run_to_end()


async def test_the_start_of_a_group_that_exists_counts_no_more(store: EventStore) -> None:
    await store.append("run", notes(3))
    await ConsumerGroup(store, "g", Seen(), create=True, start="end").run_to_end()
    seen = Seen()

    await ConsumerGroup(store, "g", seen, create=True, start="beginning").run_to_end()

    assert seen.events == []


# Making groups


@pytest.mark.parametrize("verb", ["run", "run_once", "run_to_end"])
async def test_a_mistyped_group_is_an_error_that_names_the_known_ones(
    store: EventStore, server: AnyServer, namespace: str, verb: str
) -> None:
    await ConsumerGroup(store, "emails", Seen(), create=True).run_to_end()
    before = server.keys(namespace)

    with pytest.raises(UnknownGroup) as caught:
        await getattr(ConsumerGroup(store, "email", Seen()), verb)()

    assert vars(caught.value) == {"group": "email", "known": ("emails",)}
    assert server.keys(namespace) == before


async def test_a_group_is_registered_with_where_it_began(
    store: EventStore, server: AnyServer, namespace: str
) -> None:
    await store.append("run", noted())
    tails = await store.tails()

    await ConsumerGroup(store, "g", Seen(), create=True, start="end").run_to_end()

    settings = orjson.loads(server.admin.hget(f"{namespace}:groups", "g"))
    assert settings["start"] == "end"
    assert settings["positions"] == [str(tails[partition]) for partition in range(16)]
    assert settings["created_ms"] >= max(tail.ms for tail in tails.values())


async def test_members_that_make_their_group_at_once_agree(store: EventStore) -> None:
    expected = await fill(store, runs=20)
    seen = Seen()

    members = [ConsumerGroup(store, "g", seen, create=True, lease_ms=500) for _ in range(5)]
    await asyncio.gather(*(member.run_to_end() for member in members))

    assert sorted(seen.places) == [(run, v) for run in sorted(expected) for v in expected[run]]


async def test_a_group_half_made_by_one_that_died_is_made_whole(
    store: EventStore, server: AnyServer
) -> None:
    expected = await fill(store, runs=20)
    log = store.operations.keys.log
    for partition in range(7):
        server.admin.xgroup_create(log(partition), "g", id="0", mkstream=True)
    seen = Seen()

    with pytest.raises(UnknownGroup):
        await ConsumerGroup(store, "g", seen).run_to_end()
    await ConsumerGroup(store, "g", seen, create=True).run_to_end()

    assert seen.by_run() == expected


@pytest.mark.parametrize(
    "wrong",
    [
        {"handler": None},
        {"handler": "handle"},
        {"name": ""},
        {"name": "a\nb"},
        {"name": "x" * 201},
        {"member": ""},
        {"start": "middle"},
        {"start": 5},
        {"start": None},
        {"start": {0: "1-1"}},
        {"start": {1: Position(0, 1, 1)}},
        {"concurrency": 0},
        {"concurrency": True},
        {"batch_events": 0},
        {"max_in_hand_events": 0},
        {"lease_ms": -1},
        {"lease_ms": 1.5},
        {"drain_ms": -1},
        {"types": []},
        {"types": [""]},
        {"workflow_ids": [7]},
        {"backoff": 5},
    ],
)
async def test_bad_arguments_are_refused(sync_store: SyncEventStore, wrong: dict[str, Any]) -> None:
    good: dict[str, Any] = {"name": "g", "handler": Seen()}
    store = EventStore(sync_store.opening)

    with pytest.raises(InvalidArgument):
        ConsumerGroup(store, **good | wrong)


async def test_a_blocking_store_is_refused(sync_store: SyncEventStore) -> None:
    with pytest.raises(InvalidArgument, match="EventStore"):
        ConsumerGroup(sync_store, "g", Seen())  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "wrong", [{"first_ms": 0}, {"first_ms": 10, "max_ms": 9}, {"jitter": 1.1}, {"jitter": -0.1}]
)
def test_a_backoff_without_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgument):
        Backoff(**wrong)
