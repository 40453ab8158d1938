"""Deadlines of runs: how they are named, and which events set and clear them.

A timer is set, moved and cleared only by an append, in the append's own script. So the timers
always agree with the log: a pause that was resumed has none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote, unquote

from eventstore.clock import to_ms
from eventstore.events.new_event import NewEvent

WINDOW = "window"
"""The end of a pause window; the reference is the pause id."""
WAIT = "wait"
"""The end of the time that a pause waits; the reference is the pause id."""
HANDOVER = "handover"
"""A run was restored and waits for a worker to take it; the reference is the pause id."""

STALL = "stall"
"""The deadline by which a running run must show a sign of life."""
RECOVERY = "recovery"
"""A run was recovered and waits for a worker to take it."""
WATCHED = frozenset({STALL, RECOVERY})
"""The kinds that reconcilers deal with. They have an index of their own: every event of such a
run moves its deadline."""

AFTER = "after"
AT = "at"
CLEAR = "clear"
SILENT = "silent"
HELD = "held"

_BEGINNINGS = ("run.created", "run.started")
_WINDOWS = ("run.paused", "run.window_extended")
TIMED = frozenset({*_BEGINNINGS, *_WINDOWS, "run.resumed", "run.window_expired"})
"""The types of events that may change timers."""


@dataclass(frozen=True, slots=True)
class Timer:
    """A deadline of a run: ``kind``, the run, and what it is about."""

    kind: str
    run_id: str
    ref: str

    @property
    def member(self) -> str:
        """Its name in the due index, ``kind|run_id|ref``; a ``|`` in the run id is escaped."""
        return f"{self.kind}|{_escape(self.run_id)}|{self.ref}"

    @classmethod
    def parse(cls, member: bytes) -> Timer:
        """Read a name from the due index. Raises ``ValueError`` if it is none."""
        kind, run_id, ref = member.decode().split("|", 2)
        return cls(kind, unquote(run_id) if "%" in run_id else run_id, ref)


@dataclass(frozen=True, slots=True)
class DueTimer:
    """A timer that is due, handed out under a lease."""

    timer: Timer
    due_ms: int
    """When it was due: at its deadline, or, when handed out before, at that lease's end."""
    lease_until_ms: int
    """When it will be handed out again unless an append cleared it, by the server's clock."""


@dataclass(frozen=True, slots=True)
class TimerChange:
    """What an append does to a timer.

    ``AFTER``: due ``value_ms`` after the append is recorded; ``AT``: due at ``value_ms`` since
    1970; ``CLEAR``: no longer due. ``SILENT``: due ``value_ms`` after this append and, from now
    on, after every other one of the run; 0 ends that. ``HELD``: the append is refused, as one
    with the wrong version, unless the timer is due at ``value_ms``: nobody moved it.
    """

    operation: str
    timer: Timer
    value_ms: int = 0


def changes_of(run_id: str, events: Sequence[NewEvent]) -> list[TimerChange]:
    """Give the timer changes that these events of a run cause.

    A pause sets the end of its window and of its waiting; whatever ends the pause clears them.
    A run that pauses does not stall. The end of a run clears all of its timers, in the script.
    """
    changes: dict[Timer, TimerChange] = {}
    rests = False
    for event in events:
        if event.type not in TIMED:
            continue
        if event.type in _BEGINNINGS:
            stall = Timer(STALL, run_id, "")
            options = event.data.get("options") or {}
            if "stall_after_ms" in options:
                changes[stall] = TimerChange(SILENT, stall, options["stall_after_ms"] or 0)
            continue
        rests = event.type == "run.paused" or (rests and event.type != "run.resumed")
        window = Timer(WINDOW, run_id, event.data["pause_id"])
        if event.type in _WINDOWS and event.data["window_ms"] is not None:
            changes[window] = _end_after(window, event, event.data["window_ms"])
        else:
            changes[window] = TimerChange(CLEAR, window)
        if event.type in ("run.paused", "run.resumed"):
            wait = Timer(WAIT, run_id, window.ref)
            waits_ms = event.data.get("wait_timeout_ms") if event.type == "run.paused" else None
            changes[wait] = _end_after(wait, event, waits_ms)
    return [*changes.values(), *([not_stalling(run_id)] if rests else [])]


def not_stalling(run_id: str) -> TimerChange:
    """Give the change by which a run's append leaves it without a stall deadline."""
    return TimerChange(CLEAR, Timer(STALL, run_id, ""))


def _end_after(timer: Timer, event: NewEvent, length_ms: int | None) -> TimerChange:
    if length_ms is None:
        return TimerChange(CLEAR, timer)
    if event.occurred_at is None:
        return TimerChange(AFTER, timer, length_ms)
    return TimerChange(AT, timer, to_ms(event.occurred_at) + length_ms)


def _escape(run_id: str) -> str:
    return quote(run_id, safe="") if "|" in run_id or "%" in run_id else run_id
