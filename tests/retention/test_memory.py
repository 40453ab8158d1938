"""What Redis holds does not grow with history, though a group stands at its beginning."""

from __future__ import annotations

from collections import Counter

import pytest
from samples import ended, notes

from eventstore import Append, ConsumerGroup, EventStore, RecordedEvent
from retention.ground import Ground

pytestmark = pytest.mark.parametrize("server", ["valkey"], indirect=True)

SLICES = 12
RUNS_A_SLICE = 100
EVENTS_A_RUN = 20
RUN_BYTES = 250
"""What a run that has ended may still cost."""


async def consume(ground: Ground, *, dies: bool = False) -> list[RecordedEvent]:
    """Let the group's member handle all there is; it leaves in order, or without a word."""
    seen: list[RecordedEvent] = []
    async with EventStore.open(
        ground.server.url, namespace=ground.namespace, partitions=2, archive=ground.path
    ) as store:
        # Its lease is over before the second slice; until then it might only have paused.
        member = ConsumerGroup(
            store, "billing", seen.append, create=True, member="m", lease_ms=100 if dies else 10_000
        )
        await (member.run_once() if dies else member.run_to_end())
    return seen


async def test_memory_stays_flat_while_a_group_is_dead_which_then_handles_all_in_order(
    ground: Ground,
) -> None:
    # given a group that died before the first event
    assert await consume(ground, dies=True) == []
    # when history flows, is archived, and leaves Redis
    used_bytes = []
    for number in range(SLICES):
        runs = [f"run-{number}-{each}" for each in range(RUNS_A_SLICE)]
        events = [*notes(EVENTS_A_RUN - 1), ended()]
        ground.store.append_many(Append(run, events) for run in runs)
        ground.archive()
        ground.trim(group_grace_ms=1)
        used_bytes.append(ground.server.admin.info("memory")["used_memory"])
    # then memory grew by what ended runs may cost, and by nothing else
    runs_later = (SLICES - 1) * RUNS_A_SLICE
    assert used_bytes[-1] - used_bytes[0] <= runs_later * RUN_BYTES
    # and the group finds everything, each run in order
    versions: Counter[str] = Counter()
    for event in await consume(ground):
        versions[event.run_id] += 1
        assert event.version == versions[event.run_id]
    assert set(versions.values()) == {EVENTS_A_RUN}
    assert len(versions) == SLICES * RUNS_A_SLICE
