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
HANDOVER = "handover"
"""A run was restored and waits for a worker to take it; the reference is the pause id."""

AFTER = "after"
AT = "at"
CLEAR = "clear"


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
    1970; ``CLEAR``: no longer due.
    """

    operation: str
    timer: Timer
    value_ms: int = 0


def changes_of(run_id: str, events: Sequence[NewEvent]) -> list[TimerChange]:
    """Give the timer changes that these events of a run cause.

    A pause sets the end of its window; whatever ends the pause clears it. The end of a run
    clears all of its timers, in the script.
    """
    changes: dict[Timer, TimerChange] = {}
    for event in events:
        if not event.type.startswith("run.") or "pause_id" not in event.data:
            continue
        window = Timer(WINDOW, run_id, event.data["pause_id"])
        if event.type == "run.paused" and event.data["window_ms"] is not None:
            changes[window] = _window_end(window, event)
        elif event.type in ("run.paused", "run.resumed", "run.window_expired"):
            changes[window] = TimerChange(CLEAR, window)
    return list(changes.values())


def _window_end(timer: Timer, event: NewEvent) -> TimerChange:
    window_ms = event.data["window_ms"]
    if event.occurred_at is None:
        return TimerChange(AFTER, timer, window_ms)
    return TimerChange(AT, timer, to_ms(event.occurred_at) + window_ms)


def _escape(run_id: str) -> str:
    return quote(run_id, safe="") if "|" in run_id or "%" in run_id else run_id
