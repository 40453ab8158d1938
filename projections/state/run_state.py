"""The state of one run, and the fold that makes it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Self

import orjson

from eventstore.clock import to_ms
from eventstore.errors import HistoryGap, InvalidArgument
from eventstore.events import DELETED, RecordedEvent
from projections.state.node_state import NodeState
from projections.state.open_items import CallState, SignalState, WatchState
from projections.state.pause_state import PauseOutcome, PauseState
from projections.state.stored_values import emptied, refill
from projections.state.transitions import TRANSITIONS

RunStatus = Literal["pending", "running", "paused", "completed", "failed", "aborted"]


@dataclass(slots=True)
class RunState:
    """Everything that a run's events up to ``version`` say about it.

    Times are milliseconds since 1970, taken from ``occurred_at``. ``pauses`` holds the open
    pauses in the order they began, ``outcomes`` how the others ended; ``paused_total_ms`` sums
    the resumed ones. ``checkpoint_version`` and ``resume_at`` are those of the latest
    ``run.paused`` or ``checkpoint.saved``. ``reason`` says why the run was aborted, or deleted;
    of a deleted run nothing else is left. ``counters`` says how often what happened, where it
    did: see ``COUNTERS``. ``usage`` sums what the run's calls used, by the names that they give.
    ``stored_values`` holds the large values of states by their digests, ``stored`` names those of
    ``state`` by their keys; they are in ``state`` as well.
    """

    run_id: str = ""
    workflow_id: str | None = None
    version: int = 0
    status: RunStatus = "pending"
    state: dict[str, Any] = field(default_factory=dict)
    input: Any = None
    output: Any = None
    error: dict[str, Any] | None = None
    reason: str | None = None
    parent: str | None = None
    labels: dict[str, Any] = field(default_factory=dict)
    definition_hash: str | None = None
    created_ms: int | None = None
    started_ms: int | None = None
    updated_ms: int | None = None
    ended_ms: int | None = None
    paused_total_ms: int = 0
    checkpoint_version: int | None = None
    resume_at: Any = None
    deleted: bool = False
    counters: dict[str, int] = field(default_factory=dict)
    usage: dict[str, int | float] = field(default_factory=dict)
    nodes: dict[str, NodeState] = field(default_factory=dict)
    calls: dict[str, CallState] = field(default_factory=dict)
    signals: list[SignalState] = field(default_factory=list)
    watches: dict[str, WatchState] = field(default_factory=dict)
    pauses: dict[str, PauseState] = field(default_factory=dict)
    outcomes: dict[str, PauseOutcome] = field(default_factory=dict)
    stored: dict[str, str] = field(default_factory=dict)
    stored_values: dict[str, Any] = field(default_factory=dict)

    @property
    def pause(self) -> PauseState | None:
        """The open pause that began last, if any."""
        return next(reversed(self.pauses.values()), None)

    @property
    def event_count(self) -> int:
        """How many events the run has. Versions have no gaps, so this is the version."""
        return self.version

    def apply(self, event: RecordedEvent) -> bool:
        """Take in the run's next event, and say whether it was new.

        An event that was applied before changes nothing. After the run's end, events count and
        change nothing else, but for ``run.deleted``. The event's data is never changed.
        Raises ``HistoryGap`` if events are missing before this one, ``InvalidArgument`` for an
        event of another run.
        """
        if event.run_id != self.run_id:
            self._adopt(event.run_id)
        if event.version <= self.version:
            return False
        if event.version > self.version + 1:
            raise HistoryGap(f"run {self.run_id!r}", self.version + 1, event.version)
        at_ms = to_ms(event.occurred_at)
        if self.created_ms is None:
            self.created_ms = at_ms
        if self.workflow_id is None:
            self.workflow_id = event.workflow_id
        self.version, self.updated_ms = event.version, at_ms
        transition = TRANSITIONS.get(event.type)
        if transition and (self.ended_ms is None or event.type == DELETED):
            transition(self, event, at_ms)
        return True

    def _adopt(self, run_id: str) -> None:
        if self.run_id:
            raise InvalidArgument(
                f"an event of run {run_id!r} cannot be applied to run {self.run_id!r}",
                run_id=self.run_id,
            )
        self.run_id = run_id

    def to_json(self) -> bytes:
        """Write the state so that ``from_json`` gives an equal one; stored values only once."""
        if not self.stored_values:
            return orjson.dumps(self)
        pauses = {
            name: replace(pause, state=emptied(pause.state, pause.stored))
            for name, pause in self.pauses.items()
        }
        return orjson.dumps(replace(self, state=emptied(self.state, self.stored), pauses=pauses))

    def shown(self) -> dict[str, Any]:
        """Give the state as JSON values for people, the large ones each in its place alone."""
        shown: dict[str, Any] = orjson.loads(orjson.dumps(replace(self, stored_values={})))
        return shown

    @classmethod
    def from_json(cls, encoded: bytes | str) -> Self:
        """Read what ``to_json`` wrote."""
        values: dict[str, Any] = orjson.loads(encoded)
        values["signals"] = [SignalState(**signal) for signal in values["signals"]]
        for name, kind in _PARTS.items():
            parts = values.get(name, {})  # a state that was written before it had them
            values[name] = {key: kind(**part) for key, part in parts.items()}
        run = cls(**values)
        refill(run.state, run.stored, run.stored_values)
        for pause in run.pauses.values():
            refill(pause.state, pause.stored, run.stored_values)
        return run


_PARTS: dict[str, type] = {
    "nodes": NodeState,
    "calls": CallState,
    "watches": WatchState,
    "pauses": PauseState,
    "outcomes": PauseOutcome,
}


def fold(events: Iterable[RecordedEvent], start: RunState | None = None) -> RunState:
    """Give the state after ``events``, beginning at ``start``, which is not changed.

    Raises as ``RunState.apply`` does.
    """
    state = RunState() if start is None else RunState.from_json(start.to_json())
    for event in events:
        state.apply(event)
    return state
