"""The law of parking, over generated histories: what the scripts keep is what a model says."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from uuid import uuid4

from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st
from servers import AnyServer

from eventstore import SyncEventStore
from eventstore.commands import Command
from eventstore.groups.parking import ParkedFilter, Redrive, SyncParked
from parking.fake_owner import FakeOwner, failure, sent

EXAMPLES = settings(
    max_examples=30,
    deadline=None,
    database=None,
    # To shrink histories on a real server takes minutes; the step that breaks the law is told.
    phases=(Phase.explicit, Phase.generate),
    # A busy machine is slow, which is no fault of the law.
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
RUNS = ["a", "b", "ключ|{c}"]
STEPS = [
    "append", "deliver", "deliver", "fail", "fail", "hold_back",
    "redrive", "redrive", "redrive_all", "begin", "begin", "release", "release", "again",
    "discard", "take_over", "zombie",
]  # fmt: skip
HISTORIES = st.lists(
    st.tuples(st.sampled_from(STEPS), st.sampled_from(RUNS)), min_size=15, max_size=60
)
RARE = [
    (name, "a")
    for name in (
        "fail", "redrive", "begin", "deliver", "again", "redrive", "begin", "release", "take_over",
        "begin", "begin", "append", "hold_back", "release", "begin", "release", "release",
    )
]  # fmt: skip
"""A run is set aside again, and then through, with more that comes in between: chance does not
often get so far."""


@dataclass
class Run:
    """What the model knows of a run."""

    waiting: list[int] = field(default_factory=list)
    version: int = 0
    handled: list[int] = field(default_factory=list)
    discarded: list[int] = field(default_factory=list)
    aside: list[int] = field(default_factory=list)
    state: str = "parked"
    begun: int = 0
    deliveries: int = 0

    @property
    def kept(self) -> tuple[int, int, str]:
        return self.aside[0], self.aside[-1], self.state


class History:
    """Does each step to the server and to the model, and compares what they say."""

    def __init__(self, owner: FakeOwner) -> None:
        self.owner = owner
        self.parked = SyncParked(owner.store, "g")
        self.runs = {run_id: Run() for run_id in RUNS}

    def append(self, run_id: str, run: Run) -> None:
        self.owner.append(run_id, 2)
        self.owner.read()
        run.waiting += [run.version + 1, run.version + 2]
        run.version += 2

    def deliver(self, run_id: str, run: Run) -> None:
        """The next event comes to the handler, and goes well."""
        self._next(run_id, run, goes_well=True)

    def fail(self, run_id: str, run: Run) -> None:
        """The next event comes to the handler, and fails."""
        self._next(run_id, run, goes_well=False)

    def _next(self, run_id: str, run: Run, *, goes_well: bool) -> None:
        if not run.waiting:
            return
        version = run.waiting.pop(0)
        held = self.owner.hold_back(run_id, version)
        assert held == ({version} if run.aside else set())
        assert self.owner.is_parked is bool(run.aside)
        if run.aside:
            run.aside.append(version)
        elif goes_well:
            self._acknowledge(run_id, version)
            run.handled.append(version)
        else:
            assert self.owner.park(run_id, version, failure(deliveries=5)) is True
            run.aside, run.state, run.deliveries = [version], "parked", 5

    def _acknowledge(self, run_id: str, version: int) -> None:
        where = self.owner.event(run_id, version).position
        log = self.owner.keys.log(where.partition)
        words = ("XACK", log, "g", where.entry_id)
        assert self.owner.store.perform(sent(Command(words, int))) == 1

    def hold_back(self, run_id: str, run: Run) -> None:
        """All that waits comes at once."""
        if not run.waiting:
            return
        held = self.owner.hold_back(run_id, *run.waiting)
        assert held == (set(run.waiting) if run.aside else set())
        if run.aside:
            run.aside += run.waiting
            run.waiting = []

    def redrive(self, run_id: str, run: Run) -> None:
        assert self.parked.redrive(run_id) == self._asked([run])

    def redrive_all(self, _run_id: str, _run: Run) -> None:
        everything = ParkedFilter()
        wanted = self.parked.redrive(everything, dry_run=True)
        assert self.parked.redrive(everything) == wanted == self._asked(list(self.runs.values()))

    def _asked(self, runs: list[Run]) -> int:
        changed = [run for run in runs if run.aside and run.state == "parked"]
        for run in changed:
            run.state, run.begun = "redrive", 0
        return len(changed)

    def begin(self, run_id: str, run: Run) -> None:
        runs = run.aside and run.state == "redrive"
        version = run.aside[0] if run.aside else 1
        assert self.owner.begin(run_id, version, run.begun + 1) is bool(runs)
        run.begun += 1 if runs else 0

    def release(self, run_id: str, run: Run) -> None:
        version = run.aside[0] if run.aside else 1
        left = self.owner.release(run_id, version)
        if not run.aside or run.state != "redrive":
            assert left == 0
            return
        assert left == (run.aside[-1] if len(run.aside) > 1 else 0)
        run.handled.append(run.aside.pop(0))
        run.begun = 0

    def again(self, run_id: str, run: Run) -> None:
        if not run.version:
            return
        version = run.aside[0] if run.aside else 1
        assert self.owner.park_again(run_id, version, failure(deliveries=2)) is bool(run.aside)
        if run.aside and run.state == "redrive" and run.begun:
            run.state = "parked"
            run.deliveries += 2

    def discard(self, run_id: str, run: Run) -> None:
        assert self.parked.discard(run_id) == bool(run.aside)
        run.discarded += run.aside
        run.aside = []

    def take_over(self, _run_id: str, _run: Run) -> None:
        successor = FakeOwner(self.owner.store, self.owner.server, epoch=self.owner.epoch + 1)
        successor.seen = self.owner.seen
        self.owner = successor.take()

    def zombie(self, run_id: str, run: Run) -> None:
        """A predecessor wakes, and is refused whatever it does."""
        zombie = FakeOwner(self.owner.store, self.owner.server, epoch=self.owner.epoch - 1)
        zombie.seen = self.owner.seen
        for version in range(1, run.version + 1)[:2]:
            assert zombie.park(run_id, version) is None
            assert zombie.hold_back(run_id, version) is None
            assert zombie.begin(run_id, version) is None
            assert zombie.release(run_id, version) is None
            assert zombie.park_again(run_id, version) is None

    def check(self) -> None:
        """Compare all that is kept with the model; each event is in one place, in order."""
        aside = {run_id: run for run_id, run in self.runs.items() if run.aside}
        assert self.owner.set_aside() == {run_id: run.kept for run_id, run in aside.items()}
        waiting = {(run_id, v) for run_id, run in self.runs.items() for v in run.waiting}
        assert self.owner.pending() == waiting
        redriven = [
            Redrive(run_id, *run.kept[:2], run.begun)
            for run_id, run in aside.items()
            if run.state == "redrive"
        ]
        assert sorted(map(str, self.owner.redrives())) == sorted(map(str, redriven))
        deliveries = {r.run_id: r.failure.deliveries for r in self.parked.list().items}
        assert deliveries == {run_id: run.deliveries for run_id, run in aside.items()}
        for run in self.runs.values():
            assert run.handled == sorted(set(run.handled)), "handled once, in order"
            places = run.handled + run.discarded + run.aside + run.waiting
            assert sorted(places) == list(range(1, run.version + 1)), "each in one place"


@contextmanager
def fresh_owner(server: AnyServer) -> Iterator[FakeOwner]:
    namespace = f"t-{uuid4().hex[:12]}"
    with SyncEventStore.open(server.url, namespace=namespace, partitions=2) as store:
        try:
            yield FakeOwner(store, server, epoch=10).create_group().take()
        finally:
            server.forget(namespace)


def test_what_is_kept_is_what_the_model_says(server: AnyServer) -> None:
    @EXAMPLES
    @example(RARE)
    @given(HISTORIES)
    def law(steps: list[tuple[str, str]]) -> None:
        with fresh_owner(server) as owner:
            history = History(owner)
            for name, run_id in [("append", run_id) for run_id in RUNS] + steps:
                getattr(history, name)(run_id, history.runs[run_id])
                history.check()

    law()
