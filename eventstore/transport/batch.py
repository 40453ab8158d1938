"""The appends of one blocking call: laid out bit by bit, and what became of them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from eventstore.appends import Append, PreparedAppend
from eventstore.commands import AppendOutcome
from eventstore.errors import RunStoreError
from eventstore.transport.append_queue import AppendQueue

Prepare = Callable[[Append | PreparedAppend], PreparedAppend]


class Place:
    """Where an append's outcome is put."""

    __slots__ = ("outcome", "prepared")

    def __init__(self) -> None:
        self.outcome: AppendOutcome | None = None
        self.prepared: PreparedAppend | None = None

    def done(self) -> bool:
        """Whether there is an outcome."""
        return self.outcome is not None

    def set_result(self, outcome: AppendOutcome, /) -> None:
        """Take the outcome."""
        self.outcome = outcome

    @property
    def settled(self) -> AppendOutcome:
        """The outcome, which is there once the batch is done."""
        if self.outcome is None:
            raise AssertionError("this append has no outcome yet")
        return self.outcome


class Batch:
    """Appends that one thread asks for together.

    As many as go out together are checked and laid out at a time: the next ones while the server
    is at work on those before.
    """

    def __init__(
        self,
        queue: AppendQueue,
        lock: threading.Lock,
        appends: Sequence[Append | PreparedAppend],
        prepare: Prepare,
    ) -> None:
        self._queue = queue
        self._lock = lock
        self._prepare = prepare
        self.places = [Place() for _ in appends]
        self._coming = zip(self.places, appends, strict=True)
        self._unsettled = iter(self.places)
        self._next = next(self._unsettled, None)
        self.feed()  # now, so that a thread that is sending takes them along

    def feed(self) -> None:
        """Let the next appends wait for a call."""
        events = 0
        for place, append in self._coming:
            try:
                place.prepared = self._prepare(append)
            except RunStoreError as error:
                place.set_result(error)
                continue
            with self._lock:
                self._queue.add(place.prepared, place)
            events += place.prepared.event_count
            if events >= self._queue.events_a_turn:
                return

    @property
    def is_done(self) -> bool:
        """Whether each append has its outcome."""
        while self._next is not None and self._next.done():
            self._next = next(self._unsettled, None)
        return self._next is None
