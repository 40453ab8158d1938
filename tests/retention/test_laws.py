"""Law 6: what Redis and the archive tell together is what was written, before and after trimming.

Histories are generated: appends, batches of the archive, rounds of the trimmer and readers of all
kinds, in any order. Each reader must tell what the twin tells, which nobody trims.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from samples import ended, noted, paused, resumed
from servers import AnyServer

from eventstore import NewEvent, Position, RecordedEvent
from retention.ground import Ground, expired

EXAMPLES = settings(
    max_examples=40,
    deadline=None,
    database=None,
    phases=(Phase.generate,),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
RUNS = ["a", "b", "c", "d"]
KINDS: dict[str, Callable[[], NewEvent]] = {
    "note": noted,
    "pause": lambda: paused("p1", 0),
    "expire": expired,
    "resume": resumed,
    "end": ended,
}
USUAL = st.sampled_from(["note"] * 6 + ["pause", "expire", "expire", "resume", "end"])
SMALL = st.integers(0, 8)


@dataclass
class Readers:
    """Readers that are in the middle of something, and what each has read."""

    ground: Ground
    open: list[tuple[Iterator[RecordedEvent], list[RecordedEvent], list[RecordedEvent]]] = field(
        default_factory=list
    )
    reached: dict[int, Position] = field(default_factory=dict)
    followed: list[RecordedEvent] = field(default_factory=list)

    def begin(self, events: Iterator[RecordedEvent], expected: list[RecordedEvent]) -> None:
        """Begin to read what must give at least the expected."""
        read = list(islice(events, 1))
        self.open.append((events, read, expected))

    def go_on(self, count: int) -> None:
        """Let each read some more."""
        for events, read, _ in self.open:
            read.extend(islice(events, count))

    def follow(self, limit: int) -> int:
        """Let the follower of the log read some more."""
        events = self.ground.store.read_log(self.reached, limit=limit)
        self.reached |= {event.position.partition: event.position for event in events}
        self.followed += events
        return len(events)

    def finish(self) -> None:
        """Read all to their ends, and compare."""
        for events, read, expected in self.open:
            read.extend(events)
            assert read[: len(expected)] == expected
        while self.follow(100):
            pass
        for partition, log in self.ground.log.items():
            assert [e for e in self.followed if e.position.partition == partition] == log


def write(ground: Ground, _: Readers, run: str, kinds: list[str]) -> None:
    for kind in kinds:  # what follows an end is refused, and so not expected either
        ground.append(run, KINDS[kind]())


def archive(ground: Ground, _: Readers, limit: int) -> None:
    ground.archive(limit or None)


def trim(ground: Ground, _: Readers) -> None:
    ground.trim()


def archive_and_trim(ground: Ground, _: Readers) -> None:
    ground.archive_and_trim()


def load(ground: Ground, _: Readers, run: str, after: int) -> None:
    if ground.runs[run]:
        assert ground.store.load(run, after) == ground.runs[run][after:]
        assert ground.store.head(run).version == len(ground.runs[run])


def read_backwards(ground: Ground, _: Readers, run: str, after: int, limit: int) -> None:
    if ground.runs[run]:
        events = ground.store.read_run(run, after, limit or None, backwards=True)
        assert list(events) == ground.runs[run][after:][::-1][: limit or None]


def read_forwards(ground: Ground, _: Readers, run: str, after: int, limit: int) -> None:
    if ground.runs[run]:
        events = ground.store.read_run(run, after, limit or None)
        assert list(events) == ground.runs[run][after:][: limit or None]


def wait_for(ground: Ground, _: Readers, run: str, version: int) -> None:
    if 0 < version <= len(ground.runs[run]):
        found = ground.store.wait(run, lambda event: event.version == version, timeout=5)
        assert found == ground.runs[run][version - 1]


def read_all(ground: Ground, _: Readers, place: int) -> None:
    every = ground.all
    after = every[place % len(every)].position if every and place else None
    expected = [e for e in every if after is None or _is_after(e.position, after)]
    assert list(ground.store.read_all(after)) == expected


def read_the_log(ground: Ground, _: Readers, place: int, limit: int) -> None:
    after = {p: log[place % len(log)].position for p, log in ground.log.items() if log and place}
    nothing = Position(0, 0, 0)
    found = ground.store.read_log(after, limit=limit + 1)
    for partition, log in ground.log.items():
        part = [event for event in found if event.position.partition == partition]
        rest = [event for event in log if event.position.n > after.get(partition, nothing).n]
        assert part == rest[: len(part)]
    missing = sum(map(len, ground.log.values())) - sum(at.n for at in after.values())
    assert bool(found) == bool(missing)


def begin_run(ground: Ground, readers: Readers, run: str) -> None:
    if ground.runs[run]:
        readers.begin(ground.store.read_run(run), list(ground.runs[run]))


def begin_all(ground: Ground, readers: Readers) -> None:
    readers.begin(ground.store.read_all(), ground.all)


def go_on(_: Ground, readers: Readers, count: int) -> None:
    readers.go_on(count)
    readers.follow(count + 1)


def _is_after(at: Position, after: Position) -> bool:
    return at > after if at.partition == after.partition else at.ms >= after.ms


RUN = st.sampled_from(RUNS)
STEPS: list[st.SearchStrategy[tuple[Any, ...]]] = [
    *[st.tuples(st.just(write), RUN, st.lists(USUAL, min_size=1, max_size=5))] * 4,
    *[st.tuples(st.just(archive_and_trim))] * 2,
    st.tuples(st.just(archive), SMALL),
    st.tuples(st.just(trim)),
    st.tuples(st.just(load), RUN, SMALL),
    st.tuples(st.just(read_backwards), RUN, SMALL, SMALL),
    st.tuples(st.just(read_forwards), RUN, SMALL, SMALL),
    st.tuples(st.just(wait_for), RUN, SMALL),
    st.tuples(st.just(read_all), SMALL),
    st.tuples(st.just(read_the_log), SMALL, SMALL),
    st.tuples(st.just(begin_run), RUN),
    st.tuples(st.just(begin_all)),
    *[st.tuples(st.just(go_on), SMALL)] * 2,
]


@EXAMPLES
@given(history=st.lists(st.one_of(STEPS), min_size=5, max_size=40))
def test_no_reader_can_tell_what_was_trimmed(
    history: list[tuple[Any, ...]], server: AnyServer, namespace: str, tmp_path: Path
) -> None:
    name = f"{namespace}-{uuid.uuid4().hex[:6]}"
    with Ground(server, name, tmp_path) as ground:
        readers = Readers(ground)
        for step, *details in history:
            step(ground, readers, *details)
        readers.finish()
        for run in RUNS:
            load(ground, readers, run, 0)
        read_all(ground, readers, 0)
    server.forget(name)
