"""The incidents through a group of four processes, with a handler that is bad in every way.

It fails for one run in fifty, ends its process for one in five hundred, and is slow for one in a
hundred. ``RUNSTORE_LAW_SHARE`` is the share of the incidents that is taken, on every server.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from faults import soon
from group_samples import pending
from incidents import incidents_file, made_up_lines, read_lines
from servers import OWN, Server

from eventstore import Append, EventStore, NewEvent
from eventstore.groups.parking import Parked, ParkedFilter
from group_laws.crew import Crew, crew
from group_laws.journal import Journal
from group_laws.laws import not_handled, out_of_order, side_by_side
from group_laws.member import Task

MEMBERS = ("a", "b", "c", "d")
MAX_DELIVERIES = 3
SLOW_MS = 40.0
SEED = int(os.environ.get("RUNSTORE_LAW_SEED", "7"))
SHARE = os.environ.get("RUNSTORE_LAW_SHARE")
SHARES = {name: 1.0 if name == "valkey" else 0.1 for name in OWN}
WITHIN_S = 150
SHOWN = 20
PAGE = 1_000
"""Events appended at a time, and parked runs listed at a time."""


class Incidents:
    """Runs of the data set, and what is to happen to some of them."""

    def __init__(self, share: float) -> None:
        path = incidents_file()
        lines = list(read_lines(path)) if path else made_up_lines(3_000)
        chance = random.Random(SEED)
        runs = sorted({line["run_id"] for line in lines})
        self.runs = set(chance.sample(runs, int(len(runs) * share)))
        self.lines = [line for line in lines if line["run_id"] in self.runs]
        self.lengths = Counter(line["run_id"] for line in self.lines)
        fated = chance.sample(sorted(self.runs), len(self.runs) // 20)
        count = len(self.runs)
        self.fails = self._somewhere(fated[: count // 50], chance)
        self.dies = self._somewhere(fated[count // 50 :][: max(1, count // 500)], chance)
        self.slow = dict.fromkeys(fated[-(count // 100) :], SLOW_MS)

    def _somewhere(self, runs: list[str], chance: random.Random) -> dict[str, int]:
        return {run_id: chance.randint(1, self.lengths[run_id]) for run_id in runs}

    @property
    def set_aside(self) -> dict[str, int]:
        """The runs that must be parked, and the version that each fails at."""
        return self.fails | self.dies

    def places(self) -> set[tuple[str, int]]:
        """Run and version of every event."""
        return {(run, v) for run, last in self.lengths.items() for v in range(1, last + 1)}

    def unharmed(self) -> set[tuple[str, int]]:
        """Run and version of everything before the failures."""
        return {(run, v) for run, v in self.places() if v < self.set_aside.get(run, v + 1)}

    async def append_all(self, store: EventStore) -> None:
        """Append the events in the order of the file."""
        for start in range(0, len(self.lines), PAGE):
            outcomes = await store.append_many(_appends(self.lines[start : start + PAGE]))
            assert not [outcome for outcome in outcomes if isinstance(outcome, Exception)]


def _appends(lines: list[dict[str, Any]]) -> Iterator[Append]:
    runs: dict[str, list[NewEvent]] = {}
    for line in lines:
        fields = {key: value for key, value in line.items() if key not in ("run_id", "type")}
        fields["occurred_at"] = datetime.fromisoformat(line["occurred_at"])
        runs.setdefault(line["run_id"], []).append(NewEvent(line["type"], **fields))
    return (Append(run_id, events) for run_id, events in runs.items())


async def has_handled(
    crew: Crew, journal: Journal, store: EventStore, server: Server, places: set[tuple[str, int]]
) -> None:
    """Wait until all these are handled and nothing waits, and start anew whoever dies meanwhile."""

    def is_done() -> bool:
        crew.supervise()
        return journal.has_ended(places) and not pending(store, server.admin, "g")

    await soon(is_done, within_s=WITHIN_S)


async def parked_versions(parked: Parked) -> dict[str, int]:
    """Give the version that failed of each parked run."""
    page = await parked.list(limit=PAGE)
    assert page.next_cursor is None
    return {run.run_id: run.failed_version for run in page.items}


@pytest.mark.timeout(2 * WITHIN_S)
@pytest.mark.parametrize("name", OWN)
async def test_only_the_runs_that_fail_are_set_aside_and_all_is_handled_after_redrive(
    launch: Callable[..., Server], namespace: str, tmp_path: Path, name: str
) -> None:
    # given
    server, journal = launch(name, options={"appendfsync": "everysec"}), Journal(tmp_path / "j")
    incidents = Incidents(float(SHARE or SHARES[name]))
    healed = tmp_path / "healed"
    task = Task(
        server.url,
        namespace,
        str(journal.path),
        seed=SEED,
        lease_ms=2_000,
        max_deliveries=MAX_DELIVERIES,
        concurrency=16,
        batch_events=1_600,
        fails=incidents.fails,
        dies=incidents.dies,
        slow=incidents.slow,
        healed=str(healed),
    )
    async with EventStore.open(server.url, namespace=namespace) as store:
        await incidents.append_all(store)
        parked = Parked(store, "g")
        with crew(task, tmp_path / "members") as members:
            # when four members serve
            for member in MEMBERS:
                members.join(member)
            handle = partial(has_handled, members, journal, store, server)
            await handle(incidents.unharmed())
            # then exactly the runs that fail are set aside, where they failed
            assert await parked_versions(parked) == incidents.set_aside
            assert not_handled(journal.lines, incidents.unharmed()) == []
            assert out_of_order(journal.lines) == []
            # and when the cause is mended, everything is handled after all
            healed.touch()
            assert await parked.redrive(ParkedFilter()) == len(incidents.set_aside)
            await handle(incidents.places())
            await soon(partial(_has_none, server, store), within_s=WITHIN_S)
            assert await parked.count() == 0
    lines = journal.lines
    assert not [
        *not_handled(lines, incidents.places())[:SHOWN],
        *out_of_order(lines)[:SHOWN],
        *side_by_side(lines, {})[:SHOWN],
    ]
    # One death counts for every run that was in a handler then; the first that a run causes does
    # not, since the handler may not have begun.
    most = (MAX_DELIVERIES + 1) * len(incidents.dies)
    assert MAX_DELIVERIES <= members.deaths <= most


def _has_none(server: Server, store: EventStore) -> bool:
    """Say whether no run is set aside any more."""
    keys = store.operations.keys
    return not any(server.admin.hlen(keys.parked(p, "g")) for p in range(keys.partitions))
