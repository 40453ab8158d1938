"""Whatever befalls its members and its server, a group handles every event, each run in order.

``RUNSTORE_LAW_SEED`` repeats a course, ``RUNSTORE_LAW_COURSES`` asks for more of them.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from servers import OWN, Server

from eventstore import EventStore
from group_laws.acknowledgements import watched
from group_laws.course import Course, places_of
from group_laws.crew import crew
from group_laws.journal import Journal
from group_laws.laws import (
    acknowledged_too_soon,
    begun_after_acknowledged,
    epochs_go_back,
    not_handled,
    out_of_order,
    side_by_side,
)
from group_laws.member import Task

PARTITIONS = 5
COURSES = int(os.environ.get("RUNSTORE_LAW_COURSES", "1"))
SHOWN = 20


def seed_of(number: int) -> int:
    """Choose a seed, or take the one that is to be repeated."""
    given = os.environ.get("RUNSTORE_LAW_SEED")
    return int(given) if given else random.SystemRandom().randrange(10**9) + number


def some_task(chance: random.Random, *where: str) -> Task:
    """Choose how members work: quickly or slowly, on few runs or many at a time."""
    return Task(
        *where,
        seed=chance.randrange(10**6),
        concurrency=chance.choice([1, 8, 32]),
        batch_events=chance.choice([1, 16, 256]),
        lease_ms=chance.choice([500, 800]),
        patience_ms=chance.choice([200, 15_000]),
        longest_ms=chance.choice([1, 20, 60]),
        fail_chance=0.02,
        exit_chance=0.002,
    )


@pytest.mark.parametrize("number", range(COURSES))
@pytest.mark.parametrize("name", OWN)
async def test_every_event_is_handled_and_each_run_in_order(
    launch: Callable[..., Server], namespace: str, tmp_path: Path, name: str, number: int
) -> None:
    seed = seed_of(number)
    print(f"to repeat: RUNSTORE_LAW_SEED={seed}")  # noqa: T201 - pytest shows it with a failure
    server, journal = launch(name), Journal(tmp_path / "journal")
    task = some_task(random.Random(seed), server.url, namespace, str(journal.path))
    async with (
        EventStore.open(server.url, namespace=namespace, partitions=PARTITIONS) as store,
        watched(server, "g") as acknowledged,
    ):
        with crew(task, tmp_path / "members") as members:
            course = Course(seed, server, store, members, journal)
            await course.go()
        acknowledged_ns = await places_of(store, acknowledged.first_ns)

    lines, held_up = journal.lines, members.held_up
    assert acknowledged_ns
    assert not [
        *not_handled(lines, course.places)[:SHOWN],
        *out_of_order(lines)[:SHOWN],
        *begun_after_acknowledged(lines, acknowledged_ns, held_up)[:SHOWN],
        *acknowledged_too_soon(lines, acknowledged_ns)[:SHOWN],
        *side_by_side(lines, held_up)[:SHOWN],
        *epochs_go_back(lines, held_up)[:SHOWN],
    ]
