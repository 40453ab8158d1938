"""What a member has in hand: events that were taken and are not yet acknowledged.

Nothing here does I/O. Events of one run form a lane, in the order of their versions; one of a
lane is handled at a time, different lanes go side by side.
"""

from __future__ import annotations

from bisect import insort
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from eventstore.events import Position, RecordedEvent
from eventstore.groups.selection import Selection


@dataclass(slots=True, eq=False)
class Lane:
    """The events of one run that wait to be handled, and how often the first one failed."""

    run_id: str
    events: deque[RecordedEvent] = field(default_factory=deque)
    failures: int = 0

    def add(self, event: RecordedEvent) -> None:
        """Put an event in its place; mostly that is the end."""
        if self.events and event.version < self.events[-1].version:
            insort(self.events, event, key=lambda other: other.version)
        else:
            self.events.append(event)


@dataclass(slots=True)
class Counts:
    """What a member did since it joined."""

    handled: int = 0
    """Events whose handler returned."""
    skipped: int = 0
    """Events that the group's selection leaves out."""
    failed: int = 0
    """Calls of the handler that raised."""
    recovered: int = 0
    """Events taken over from members that died, or from replies that were lost."""

    @property
    def done(self) -> int:
        """Everything the group is through with."""
        return self.handled + self.skipped

    @property
    def worked(self) -> int:
        """Everything that was tried or passed over."""
        return self.done + self.failed


class Hand:
    """The lanes of one member, those that are ready, and what is to be acknowledged."""

    def __init__(self, selection: Selection, counts: Counts) -> None:
        self._selection = selection
        self._lanes: dict[str, Lane] = {}
        self.ready: deque[Lane] = deque()
        """Lanes whose first event can be handled now."""
        self.held: set[Position] = set()
        """Where the events stand that were taken and not yet acknowledged."""
        self.counts = counts
        self._handled: list[Position] = []

    @property
    def unhandled(self) -> int:
        """How many events in hand are not handled yet."""
        return len(self.held) - len(self._handled)

    @property
    def handled(self) -> Sequence[Position]:
        """What was handled and not yet acknowledged."""
        return self._handled

    def put(self, events: Iterable[RecordedEvent]) -> None:
        """Take events in, each once, and pass over those that nobody wants."""
        for event in events:
            position = event.position
            if position in self.held:
                continue
            self.held.add(position)
            if self._selection.accepts(event):
                self._lane_of(event).add(event)
            else:
                self._handled.append(position)
                self.counts.skipped += 1

    def _lane_of(self, event: RecordedEvent) -> Lane:
        lane = self._lanes.get(event.run_id)
        if lane is None:
            lane = self._lanes[event.run_id] = Lane(event.run_id)
            self.ready.append(lane)
        return lane

    def done(self, lane: Lane, event: RecordedEvent) -> None:
        """Note that an event was handled."""
        lane.failures = 0
        self._handled.append(event.position)
        self.counts.handled += 1

    def end(self, lane: Lane) -> None:
        """Let go of a lane whose events are all handled."""
        del self._lanes[lane.run_id]

    def failed(self, lane: Lane, event: RecordedEvent) -> None:
        """Put a failed event back in its place; its lane waits until ``again``."""
        lane.add(event)
        lane.failures += 1
        self.counts.failed += 1

    def again(self, lane: Lane) -> None:
        """Let a lane that waited be handled."""
        self.ready.append(lane)

    def acknowledged(self, count: int) -> None:
        """Let go of the first ``count`` events of ``handled``."""
        self.held.difference_update(self._handled[:count])
        del self._handled[:count]
