"""Pauses that wait for signals: how they begin, and how their time ends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from eventstore import InvalidArgument, NewEvent
from eventstore.appends import AppendResult
from eventstore.operations import Operations
from eventstore.plan import Plan
from projections.state import PauseState, RunState
from replay.context import RunContext
from replay.pausing import Window, window_in_ms
from replay.recording import append_decided
from replay.signals.matching import Satisfied, match
from replay.signals.receiving import late_events, resuming

WaitMode = Literal["any", "all"]
TIMED_OUT = "timeout"
"""The cause of a resume because what was waited for did not come in time."""


def waiting_data(
    wait_for: Sequence[Mapping[str, Any]] | None, wait_mode: WaitMode, wait_timeout: Window
) -> dict[str, Any]:
    """Give what ``run.paused`` says of its waiting. The event itself checks types and conditions.

    Raises ``InvalidArgument``.
    """
    data: dict[str, Any] = {}
    if wait_timeout is not None:
        data["wait_timeout_ms"] = window_in_ms(wait_timeout)
    if wait_for is None:
        return data
    if isinstance(wait_for, (str, bytes, Mapping)) or not isinstance(wait_for, Sequence):
        raise InvalidArgument(
            'wait_for is a list, such as [{"type": "paid", "conditions": [{"field": "order", '
            f'"op": "==", "value": 7}}]}}], not {type(wait_for).__name__}'
        )
    if not wait_for:
        raise InvalidArgument("wait_for must name a signal; without one, leave it out")
    if wait_mode not in ("any", "all"):
        raise InvalidArgument(f"wait_mode must be any or all, not {wait_mode!r}")
    return data | {"wait_for": list(wait_for), "wait_mode": wait_mode}


def pause_and_wait(
    operations: Operations, run_id: str, paused: NewEvent, expected: Any
) -> Plan[tuple[AppendResult, RunContext | None]]:
    """Record a pause that waits for signals; those that are there already end it at once.

    Then there is a context to go on with. Raises as ``append`` does.
    """
    found: Satisfied | None = None

    def decide(state: RunState) -> list[NewEvent]:
        nonlocal found
        found = _found(state, paused)
        return [paused, *(resuming(found, 0) if found else ())]

    result, state = yield from append_decided(operations, run_id, expected, decide)
    return result, _context(state, found) if found else None


def _context(state: RunState, found: Satisfied) -> RunContext:
    pause = replace(found.pause, state={**found.pause.state, **found.patch})
    return RunContext.after(state, pause, signals=found.signals)


def _found(state: RunState, paused: NewEvent) -> Satisfied | None:
    """Give the signals that a run keeps and that end a pause as soon as it begins."""
    data = paused.data
    pause = PauseState(
        pause_id=data["pause_id"],
        version=state.version + 1,
        node_id=data.get("node_id"),
        reason=data.get("reason"),
        resume_at=data.get("resume_at"),
        state=data["state"],
        window_ms=None,
        on_expiry=data["on_expiry"],
        paused_ms=0,
        expires_ms=None,
        wait_for=data["wait_for"],
        wait_mode=data["wait_mode"],
    )
    matches = match(pause, state.signals)
    return Satisfied(pause, matches) if matches else None


def timed_out(pause: PauseState, now_ms: int) -> list[NewEvent]:
    """Give the events by which a pause goes on without what it waited for."""
    data = {"pause_id": pause.pause_id, "cause": TIMED_OUT, "patch": {}}
    return [*late_events(pause, now_ms), NewEvent("run.resumed", data)]
