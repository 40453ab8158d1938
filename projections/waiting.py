"""Waiting until rows show what was appended: read your own writes."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Protocol

from eventstore.clock import monotonic
from eventstore.errors import InvalidArgument, WaitTimeout
from eventstore.events import Position
from projections.database import Database
from projections.feed import reached_all
from projections.positions import Reached
from projections.standing import FAILED, PAUSED
from projections.status import ProjectionStatus, projection_status

DEFAULT_WAIT_S = 5.0
_POLL_S = 0.005


class Appended(Protocol):
    """What an append gives back, as far as waiting for it goes."""

    @property
    def positions(self) -> Sequence[Position]:
        """Where the appended events stand."""


def wait_for(
    database: Database,
    appended: Appended | Iterable[Position],
    timeout: float | timedelta = DEFAULT_WAIT_S,
    *,
    projections: Iterable[str],
) -> None:
    """Wait until ``projections`` show what was appended: read your own writes.

    Works from any process that can open the database. It asks the file every few milliseconds,
    since SQLite cannot wake a reader. Raises ``WaitTimeout`` after ``timeout``, in seconds or a
    timedelta, and ``ProjectionFailed`` at once where a projection stands failed before that place.
    """
    timeout_s = timeout.total_seconds() if isinstance(timeout, timedelta) else timeout
    if timeout_s < 0:
        raise InvalidArgument(f"timeout must be 0 or more, not {timeout!r}")
    positions: Iterable[Position] = getattr(appended, "positions", appended)  # type: ignore[arg-type]
    wanted = _last_of_each(positions)
    names = set(projections)
    deadline_s = monotonic() + timeout_s
    while behind := _behind(database, names, wanted):
        for status in behind:
            if status.state == FAILED and status.failure:
                raise status.failure.raised_by(status.name)
        if monotonic() >= deadline_s:
            raise WaitTimeout(_awaited(wanted, behind), timeout_s)
        time.sleep(_POLL_S)


def _last_of_each(positions: Iterable[Position]) -> dict[int, Position]:
    last: dict[int, Position] = {}
    for position in positions:
        last[position.partition] = max(position, last.get(position.partition, position))
    return last


def _behind(database: Database, names: set[str], wanted: Reached) -> list[ProjectionStatus]:
    """Give the projections that do not show it yet, known to the database or not."""
    found = {status.name: status for status in projection_status(database)}
    unknown = ProjectionStatus("", 0, {}, 0, None)
    asked = [found.get(name, unknown) for name in sorted(names)]
    return [status for status in asked if not reached_all(status.positions, wanted)]


def _awaited(wanted: Reached, behind: Iterable[ProjectionStatus]) -> str:
    paused = [
        f"; projection {status.name!r} is paused ({status.cause or 'no cause given'})"
        for status in behind
        if status.state == PAUSED
    ]
    return f"the projection of {', '.join(map(str, wanted.values()))}{''.join(paused)}"
