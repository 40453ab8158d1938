"""Several branches of a run, and all that ends their pauses, in many processes: one worker each."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from consistency import assert_consistent
from replaying import HOUR
from servers import AnyServer
from signals.laws import assert_lawful

from eventstore import RecordedEvent, SyncEventStore
from eventstore.clock import from_ms
from eventstore.commands import server_time
from eventstore.plan import single
from pausing.branching import BranchRacer
from pausing.mixture import Racer
from pausing.mixture_laws import ENDS, read_journals, told_the_truth
from pausing.test_mixture import COURSES, ENOUGH_SWEEPS, Course
from replay.expiry import WITHOUT_WORKER


class BranchCourse(Course):
    """Runs with three branches that pause once, at the same time."""

    racers = BranchRacer
    stalls_ms = (3_600_000,)

    def end(self, store: SyncEventStore, racer: Racer) -> None:
        """Let what is due be done."""
        now = from_ms(store.perform(single(server_time())))
        for turn in range(1, ENOUGH_SWEEPS):
            if not racer.restore(now + 2 * turn * HOUR):
                return
        raise AssertionError("restorers come to no end")

    def check(self, store: SyncEventStore) -> None:
        """Check the laws."""
        told = read_journals(self._journal)
        sure = self.sure(told)
        for run_id in self._runs:
            events = store.load(run_id)
            assert_lawful(events)
            _assert_one_worker_a_branch(events, sure)
            told_the_truth(events, told[run_id], sure)
        assert_consistent(self._server, self._namespace)


def _assert_one_worker_a_branch(events: list[RecordedEvent], sure: set[str]) -> None:
    """Check that each branch that goes on has one worker, whoever else was killed."""
    workers = Counter(e.data["node_id"] for e in events if e.type == "node.started")
    is_open = events[-1].type not in ENDS
    resumed = {e.data["pause_id"]: e.data for e in events if e.type == "run.resumed"}
    assert set(workers) <= set(resumed)
    for pause_id, data in resumed.items():
        at_once = "consumed" in data and data["cause"] == "signal"  # perhaps as soon as it paused
        by_name = (data.get("actor") or "").rpartition("-")[0] in sure
        must = is_open and (by_name or (data["cause"] in WITHOUT_WORKER and not at_once))
        assert must <= workers[pause_id] <= 1, (pause_id, data, workers)


@pytest.mark.parametrize("number", range(COURSES))
def test_each_branch_that_goes_on_has_one_worker(
    server: AnyServer, namespace: str, tmp_path: Path, number: int
) -> None:
    BranchCourse(server, namespace, tmp_path, number).go(server_dies=False)
