"""Law 6 for rows: from archive and trimmed log come those of a twin that nobody ever trimmed."""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from histories import ListLog, histories
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from retention.ground import Ground
from servers import AnyServer

from eventstore import NewEvent, SyncEventStore, Upcasters
from projections import BUILT_IN, Projector, open_database, rebuild, verify, verify_sample
from projector_operations.samples import Picky, rows

PROJECTIONS = (*BUILT_IN, Picky)
RUNS = "abcd"
EXAMPLES = settings(
    max_examples=12,
    deadline=None,
    database=None,
    phases=(Phase.generate,),  # to shrink on a real server takes minutes
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

few = st.integers(1, 12)
step = st.one_of(
    st.tuples(st.just("write"), st.sampled_from(RUNS), few),
    st.tuples(st.just("write"), st.sampled_from(RUNS), few),
    st.tuples(st.just("project"), few),
    st.tuples(st.just("archive"), st.none() | few),
    st.sampled_from(
        [("trim",), ("archive_and_trim",), ("rebuild",), ("restart",), ("be_unheard",)]
    ),
)


def lifting() -> Upcasters:
    """Lift what ``histories`` draws as a type of its own: two steps, one event of any shape."""
    upcasters = Upcasters()
    upcasters.register("order.shipped", 1)(lambda data: {"lifted": data})
    upcasters.register("order.shipped", 2)(lambda data: {**data, "fields": len(data["lifted"])})
    return upcasters


class Lifted(Ground):
    """A store whose older events are lifted, its archive, and the twin."""

    def open(self, **options: Any) -> SyncEventStore:
        return super().open(upcasters=lifting(), **options)

    def twin(self) -> ListLog:
        """Give all that was ever written, as a log."""
        return ListLog([event for log in self.log.values() for event in log])


@dataclass
class Course:
    """One course of things: who writes, projects, archives, trims and rebuilds in what order."""

    ground: Lifted
    folder: Path
    histories: dict[str, list[NewEvent]]
    batch_events: int
    path: Path = field(init=False)
    projector: Projector = field(init=False)

    def __post_init__(self) -> None:
        self.path = self.folder / "runs.db"
        self.database = open_database(self.path)
        self.restart()

    def write(self, run: str, count: int) -> None:
        waiting = self.histories.get(run, [])
        if waiting:
            self.ground.append(run, *waiting[:count])
            self.histories[run] = waiting[count:]

    def project(self, batches: int) -> None:
        for _ in range(batches):
            self.projector.run_once()

    def archive(self, limit: int | None) -> None:
        self.ground.archive(limit)

    def trim(self) -> None:
        self.ground.trim()

    def archive_and_trim(self) -> None:
        self.ground.archive_and_trim()

    def rebuild(self) -> None:
        self.projector.rebuild()

    def restart(self) -> None:
        if hasattr(self, "projector"):
            self.projector.close()
        self.projector = Projector(
            self.ground.store, self.database, PROJECTIONS, batch_events=self.batch_events
        )

    def be_unheard(self) -> None:
        """Let retention know of no projector: the next trim does not wait for it."""
        self.ground.server.admin.delete(self.ground.store.operations.keys.readers)

    def close(self) -> None:
        self.projector.close()
        self.database.close()


@contextmanager
def begun(
    server: AnyServer, drawn: dict[str, list[NewEvent]], batch_events: int
) -> Iterator[Course]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with Lifted(server, f"t{uuid.uuid4().hex[:12]}", folder) as ground:
            course = Course(ground, folder, dict(drawn), batch_events)
            try:
                yield course
            finally:
                course.close()


def rows_from(log: Any, path: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Give the rows that a new database has of a log."""
    with open_database(path) as database, Projector(log, database, PROJECTIONS) as projector:
        projector.run_to_end()
    return rows(path)


@EXAMPLES
@given(
    drawn=st.dictionaries(st.sampled_from(RUNS), histories(), min_size=1),
    steps=st.lists(step, min_size=4, max_size=25),
    batch_events=st.integers(1, 40),
)
def test_rows_are_those_of_a_twin_that_nobody_trimmed(
    server: AnyServer,
    drawn: dict[str, list[NewEvent]],
    steps: list[tuple[Any, ...]],
    batch_events: int,
) -> None:
    with begun(server, drawn, batch_events) as course:
        # given runs that were written, projected, archived and trimmed in some order
        course.projector.run_once()
        for name, *arguments in steps:
            getattr(course, name)(*arguments)
        # when all is projected, and all that may go has gone from Redis
        course.projector.run_to_end()
        course.be_unheard()
        course.archive_and_trim()
        store = course.ground.store
        assert all(course.ground.length(p) <= 1 for p in range(course.ground.partitions))
        # then the live rows are those of the twin,
        expected = rows_from(course.ground.twin(), course.folder / "twin.db")
        assert rows(course.path) == expected
        # so are those that are made from archive and log, in a new file and by a rebuild
        assert rows_from(store, course.folder / "late.db") == expected
        rebuild(store, course.database, projections=PROJECTIONS)
        assert rows(course.path) == expected
        assert verify(store, course.database, projections=PROJECTIONS).differences == []
        sample = verify_sample(store, course.database, 9, projections=PROJECTIONS)
        assert sample.differences == []
