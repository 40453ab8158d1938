"""What a member has in hand: events that were taken and are not yet through.

Nothing here does I/O. Events of one run form a lane, in the order of their versions; one of a
lane is handled at a time, different lanes go side by side. Events that may have killed an earlier
member go alone: while one of them is handled, nothing else is.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from eventstore.events import Position, RecordedEvent
from eventstore.groups.hand.holding import Holding
from eventstore.groups.hand.lane import Lane
from eventstore.groups.selection import Selection


@dataclass(slots=True)
class Counts:
    """What a member did since it was made."""

    handled: int = 0
    """Events whose handler returned."""
    skipped: int = 0
    """Events that the group's selection leaves out, or that the handler skipped."""
    failed: int = 0
    """Calls of the handler that raised."""
    recovered: int = 0
    """Events taken over from members that died, or from replies that were lost."""
    parked: int = 0
    """Runs that were set aside."""
    held_back: int = 0
    """Later events of runs that are set aside."""

    @property
    def done(self) -> int:
        """Everything the group is through with."""
        return self.handled + self.skipped + self.held_back

    @property
    def worked(self) -> int:
        """Everything that was tried or passed over."""
        return self.done + self.failed


class Hand:
    """The holdings of one member, and the lanes that are ready."""

    def __init__(
        self,
        selection: Selection,
        counts: Counts,
        max_lane_events: int,
        now_s: Callable[[], float],
    ) -> None:
        self.selection = selection
        self.counts = counts
        self.holdings: dict[int, Holding] = {}
        self.known: dict[int, Position] = {}
        """The furthest event that this member saw of each partition, whoever holds it now: a log
        that ends before it has lost events."""
        self._known_ids: dict[int, str] = {}
        """The ids of these events. While a server's clock is behind, what replaces a lost event can
        stand in the very same place."""
        self.ready: deque[Lane] = deque()
        """Lanes whose first event can be handled now, beside others."""
        self.ready_alone: deque[Lane] = deque()
        """Lanes with an event that must be handled alone."""
        self.to_hold_back: dict[str, tuple[Holding, list[RecordedEvent]]] = {}
        """Events of runs that are set aside, by run; to be set aside too."""
        self.in_memory = 0
        """How many events are kept in memory."""
        self.is_beat_due = False
        """Whether a lease ran out or was lost: a heartbeat finds out what holds."""
        self._max_lane_events = max_lane_events
        self._now_s = now_s

    @property
    def outstanding(self) -> int:
        """How many events were taken and are not through."""
        return sum(holding.outstanding for holding in self.holdings.values())

    @property
    def redriven(self) -> int:
        """How many runs that were set aside are under way."""
        return sum(len(holding.redriven) for holding in self.holdings.values())

    @property
    def has_suspects(self) -> bool:
        """Whether any event is to be handled alone now; one behind another that waits is not."""
        return bool(self.ready_alone)

    def put(self, holding: Holding, events: Iterable[RecordedEvent]) -> None:
        """Take events in, and pass over those that nobody wants."""
        accepts, parked = self.selection.accepts, holding.parked
        event = None
        for event in events:
            holding.take(event.position)
            if not accepts(event):
                holding.finish(event.position)
                self.counts.skipped += 1
            elif event.run_id in parked:
                self.to_hold_back.setdefault(event.run_id, (holding, []))[1].append(event)
                self.in_memory += 1
            else:
                self.add(holding, event)
        self._note_reached(holding, event)

    def pass_over(self, holding: Holding, position: Position) -> None:
        """Note that everything up to a position, which nobody is handling, was taken before."""
        holding.pass_over(position)
        self._note_reached(holding)

    def _note_reached(self, holding: Holding, last: RecordedEvent | None = None) -> None:
        partition, reached = holding.partition, holding.reached
        known = self.known.get(partition)
        if known is None or reached > known:
            self.known[partition] = reached
            self._known_ids.pop(partition, None)
        if last is not None and last.position == self.known[partition]:
            self._known_ids[partition] = last.id

    def is_another(self, event: RecordedEvent) -> bool:
        """Say whether an event stands where this member saw another one as the last."""
        partition = event.position.partition
        if event.position != self.known.get(partition):
            return False
        return self._known_ids.get(partition, event.id) != event.id

    def add(self, holding: Holding, event: RecordedEvent) -> None:
        """Put an event into the lane of its run."""
        if holding.is_lost:
            return
        lane = holding.lanes.get(event.run_id)
        if lane is None:
            lane = holding.lanes[event.run_id] = Lane(holding, event.run_id)
            is_new = True
        else:
            is_new = False
        if lane.add(event, self._max_lane_events):
            self.in_memory += 1
        if holding.suspects and event.position.n in holding.suspects:
            lane.suspects += 1
        if is_new:
            self.make_ready(lane)

    def pop(self, lane: Lane) -> RecordedEvent:
        """Take the first event of a lane, to be handled now."""
        event = lane.events.popleft()
        self.in_memory -= 1
        if lane.suspects:
            # If it does not kill the process now, it is none that does.
            suspects = lane.holding.suspects
            if lane.is_redriven or event.position.n in suspects:
                lane.suspects -= 1
                suspects.discard(event.position.n)
        return event

    def put_back(self, lane: Lane, event: RecordedEvent) -> None:
        """Put a lane's first event back in its place."""
        if lane.holding.is_lost:
            return
        if lane.is_redriven:  # it may wait for long: what comes behind it is read again
            self.in_memory -= len(lane.events)
            lane.events.clear()
            lane.left_out = range(event.version + 1, lane.left_out.stop)
        lane.events.appendleft(event)
        self.in_memory += 1

    def make_ready(self, lane: Lane) -> None:
        """Let a lane be handled, once nothing stands against it."""
        holding = lane.holding
        if holding.is_lost or holding.is_leaving:
            return
        if holding.valid_until_s <= self._now_s():
            holding.asleep.append(lane)
            self.is_beat_due = True
        elif lane.suspects:
            self.ready_alone.append(lane)
        else:
            self.ready.append(lane)

    def next_lane(self) -> Lane | None:
        """Give the lane to be handled next beside others, or None."""
        while self.ready:
            lane = self.ready.popleft()
            if not lane.suspects and self.may_go_on(lane):
                return lane
            self.make_ready(lane)  # alone, asleep, or dropped with its partition
        return None

    def next_alone(self) -> Lane | None:
        """Give the lane to be handled next while nothing else is, or None."""
        while self.ready_alone:
            lane = self.ready_alone.popleft()
            if self.may_go_on(lane):
                return lane
            self.make_ready(lane)
        return None

    def may_go_on(self, lane: Lane) -> bool:
        """Say whether the next event of a lane may be begun."""
        return not lane.holding.is_leaving and self.holds(lane.holding)

    def holds(self, holding: Holding) -> bool:
        """Say whether a lease is sure to hold."""
        return not holding.is_lost and holding.valid_until_s > self._now_s()

    def wake(self, holding: Holding) -> None:
        """Let the lanes go on that slept until the lease was prolonged."""
        asleep, holding.asleep = holding.asleep, []
        for lane in asleep:
            self.make_ready(lane)

    def end(self, lane: Lane) -> list[RecordedEvent]:
        """Let go of a lane; give the events that were left in it."""
        lanes = lane.holding.redriven if lane.is_redriven else lane.holding.lanes
        if lanes.get(lane.run_id) is not lane:
            return []
        del lanes[lane.run_id]
        left = list(lane.events)
        lane.events.clear()
        self.in_memory -= len(left)
        return left

    def drop(self, holding: Holding) -> None:
        """Forget a partition that was lost, and what is in hand of it: it is somebody else's."""
        self.is_beat_due = True
        self.forget(holding)

    def forget(self, holding: Holding) -> None:
        """Forget a partition, and what is in hand of it."""
        holding.is_lost = True
        if self.holdings.get(holding.partition) is holding:
            del self.holdings[holding.partition]
        for lane in [*holding.lanes.values(), *holding.redriven.values()]:
            self.end(lane)
        for run_id, (owner, events) in list(self.to_hold_back.items()):
            if owner is holding:  # what comes when the partition is taken anew is not to join it
                self.in_memory -= len(events)
                del self.to_hold_back[run_id]
        self.leave(holding)

    def leave_all(self) -> None:
        """Begin nothing more."""
        for holding in self.holdings.values():
            self.leave(holding)

    def leave(self, holding: Holding) -> None:
        """Begin nothing more of a partition."""
        holding.is_leaving = True
        for lanes in (self.ready, self.ready_alone):
            for lane in [lane for lane in lanes if lane.holding is holding]:
                lanes.remove(lane)
