"""Consumer groups and projectors beside the trimmer: waited for while they live, whole later."""

from __future__ import annotations

import asyncio
from pathlib import Path

from samples import ended, notes

from eventstore import ConsumerGroup, EventStore, RecordedEvent
from projections import Projector, Runs, open_database
from retention.ground import Ground

RUNS = [f"run-{number}" for number in range(6)]


async def consume(ground: Ground, group: str) -> list[RecordedEvent]:
    """Let one member of a group handle all there is, and leave."""
    seen: list[RecordedEvent] = []
    async with EventStore.open(
        ground.server.url, namespace=ground.namespace, partitions=2, archive=ground.path
    ) as store:
        member = ConsumerGroup(store, group, seen.append, create=True)
        await asyncio.wait_for(member.run_to_end(), 60)
    return seen


def write(ground: Ground, count: int) -> None:
    for run in RUNS:
        ground.append(run, *notes(count))


def by_run(events: list[RecordedEvent]) -> dict[str, list[RecordedEvent]]:
    return {run: [event for event in events if event.run_id == run] for run in RUNS}


async def test_a_group_that_was_away_handles_what_was_trimmed_in_order(ground: Ground) -> None:
    # given a group that has handled some, and left
    write(ground, 3)
    first = await consume(ground, "billing")
    # when much more is written, archived and trimmed, and the group comes back
    write(ground, 50)
    for run in RUNS:
        ground.append(run, ended())
    ground.archive()
    report = ground.trim(group_grace_ms=1)
    assert report.left == 2
    assert report.dropped_runs == len(RUNS)
    write_more = [ground.append(f"new-{n}", *notes(2)) for n in range(4)]
    second = await consume(ground, "billing")
    # then it handled each event once, each run in order
    assert by_run(first + second) == {run: ground.runs[run] for run in RUNS}
    assert len(second) == len(RUNS) * 51 + 2 * len(write_more)


async def test_a_group_made_after_everything_was_trimmed_begins_at_the_beginning(
    ground: Ground,
) -> None:
    write(ground, 20)
    ground.archive_and_trim()

    assert by_run(await consume(ground, "late")) == {run: ground.runs[run] for run in RUNS}


def test_a_projector_made_after_everything_was_trimmed_sees_it_all(
    ground: Ground, tmp_path: Path
) -> None:
    write(ground, 20)
    ground.archive_and_trim()

    with open_database(tmp_path / "rows.db") as database, Projector(ground.store, database) as one:
        one.run_to_end()
        assert Runs(database).get_run(RUNS[0]).version == 20


def test_a_projector_that_runs_is_waited_for(ground: Ground, tmp_path: Path) -> None:
    write(ground, 20)
    with open_database(tmp_path / "rows.db") as database, Projector(ground.store, database) as one:
        one.run_to_end()  # and reports at once
        write(ground, 5)
        ground.archive()

        report = ground.trim()

        held = {part.held_by.kind for part in report.partitions if part.held_by}
        assert held == {"reader"}
        assert report.left == 5 * len(RUNS) + 2
        assert ground.trim(group_grace_ms=1).left == 2
        assert one.run_to_end() == 5 * len(RUNS)
