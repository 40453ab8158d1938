"""Four members on four busy runs: more members than a run can use cost it neither order nor more.

Batches are far smaller than what waits, so that each member always has one in hand and the next
one on its way.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from faults import soon
from group_samples import pending
from samples import notes
from servers import OWN, Server

from eventstore import Append, EventStore
from group_laws.acknowledgements import watched
from group_laws.course import places_of
from group_laws.crew import crew
from group_laws.journal import Journal
from group_laws.laws import acknowledged_too_soon, not_handled, out_of_order, side_by_side
from group_laws.member import Task

MEMBERS = ("a", "b", "c", "d")
EACH, PAGE = 600, 30
LEASE_MS = 3_000


async def append(store: EventStore, first: int) -> set[tuple[str, int]]:
    """Append to one run of each partition; give run and version of each event."""
    keys = store.operations.keys
    runs = list({keys.partition_of(run_id): run_id for run_id in map(str, range(100))}.values())
    assert len(runs) == len(MEMBERS)
    for _ in range(0, EACH, PAGE):
        outcomes = await store.append_many(Append(run_id, notes(PAGE)) for run_id in runs)
        assert not [outcome for outcome in outcomes if isinstance(outcome, Exception)]
    return {(run_id, v) for run_id in runs for v in range(first, first + EACH)}


@pytest.mark.parametrize("name", OWN)
async def test_four_members_on_four_runs_keep_their_order_whoever_joins_and_dies(
    launch: Callable[..., Server], namespace: str, tmp_path: Path, name: str
) -> None:
    server, journal = launch(name, options={"appendfsync": "no"}), Journal(tmp_path / "journal")
    task = Task(
        server.url,
        namespace,
        str(journal.path),
        lease_ms=LEASE_MS,
        batch_events=40,
        longest_ms=0.2,
    )
    async with (
        EventStore.open(server.url, namespace=namespace, partitions=len(MEMBERS)) as store,
        watched(server, "g") as acknowledged,
    ):
        with crew(task, tmp_path / "members") as members:

            def is_done(places: set[tuple[str, int]]) -> bool:
                return journal.has_ended(places) and not pending(store, server.admin, "g")

            # given two members at work
            for member in MEMBERS[:2]:
                members.join(member)
            places = await append(store, 1)
            await soon(lambda: journal.lines, within_s=30)
            # when two more join
            for member in MEMBERS[2:]:
                members.join(member)
            places |= await append(store, EACH + 1)
            await soon(lambda: is_done(places), within_s=60)
            # then everything was handled once, if the machine let them all renew their leases
            kinds = Counter((line.kind, line.place) for line in journal.lines)
            begun = {count for (kind, _), count in kinds.items() if kind == "begun"}
            assert begun == {1} or any(kind == "slept" for kind, _ in kinds)
            # and when one of them is killed in the middle of more
            more = await append(store, 2 * EACH + 1)
            victim = journal.lines[-1].member
            members.kill(victim)
            places |= more | await append(store, 3 * EACH + 1)
            await soon(lambda: is_done(places), within_s=60)
        acknowledged_ns = await places_of(store, acknowledged.first_ns)
    # then order and acknowledgements are as ever
    lines = journal.lines
    assert set(acknowledged_ns) == places
    assert not [
        *not_handled(lines, places)[:20],
        *out_of_order(lines)[:20],
        *side_by_side(lines, {})[:20],
        *acknowledged_too_soon(lines, acknowledged_ns)[:20],
    ]
