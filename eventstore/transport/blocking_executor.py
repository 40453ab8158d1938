"""Runs commands, plans and appends for threads; the twin of ``async_executor``."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from eventstore.appends import Append, PreparedAppend, prepare
from eventstore.collector import uncollected
from eventstore.commands import AppendOutcome, Command
from eventstore.errors import InvalidArgument, RunStoreError
from eventstore.plan import Appends, Plan, Recall, Step, Wait
from eventstore.recall import is_archived, look_up
from eventstore.server import EmbeddedServer
from eventstore.transport.append_queue import AppendQueue, Call
from eventstore.transport.async_executor import NOT_OPEN, revive
from eventstore.transport.batch import Batch, Place
from eventstore.transport.failures import ConnectionLost, is_not_now, refusal_of, unavailable
from eventstore.transport.lines import BlockingLine
from eventstore.transport.opening import Opened, Opening
from eventstore.transport.patience import Patience
from eventstore.transport.shelf import Shelf

T = TypeVar("T")


class BlockingExecutor:
    """The connections of one open store. Whichever thread is sending takes the others' along."""

    def __init__(self, opening: Opening) -> None:
        self._settings = opening.settings
        self._opening = opening
        self._embedded: EmbeddedServer | None = None
        self._lines: tuple[BlockingLine, BlockingLine] | None = None
        self._opened: Opened | None = None
        self._shelf: Shelf | None = None
        self._queue: AppendQueue | None = None
        self._waiting = threading.Lock()
        self._sending = threading.Lock()
        self._room = threading.BoundedSemaphore(self._settings.max_waiting_appends)
        self.shown = ""

    def start(self) -> None:
        """Reach the server (the embedded one where no URL was given) and open the namespace."""
        if self._lines is not None:
            raise InvalidArgument("this store is open already; open another")
        if self._opening.url is None:
            self._embedded = self._opening.join_embedded()
        try:
            target = self._opening.target(self._embedded)
            self.shown = target.shown
            self._lines = (
                BlockingLine(target, self._settings, extra_ms=self._opening.confirmation_ms),
                BlockingLine(target, self._settings, extra_ms=self._settings.block_ms),
            )
            self._opened = self.perform(self._opening.plan())
            self._shelf = self._opened.shelf(self._opening.archive)
        except BaseException:
            self.close()
            raise
        self._queue = self._opened.queue(self.shown)

    def close(self) -> None:
        """Wait for the appends under way, close the connections, leave the embedded server."""
        with self._sending:
            self._queue = None
            for line in self._lines or ():
                line.close()
            if self._shelf is not None:
                self._shelf.close()
            self._lines = self._opened = self._shelf = None
        if self._embedded is not None:
            self._embedded.leave()
            self._embedded = None

    @property
    def opened(self) -> Opened:
        """The open namespace. Raises ``InvalidArgument`` when it is not open."""
        if self._opened is None:
            raise InvalidArgument(NOT_OPEN)
        return self._opened

    def attempt_many(self, appends: Iterable[Append]) -> list[AppendOutcome]:
        """Append each, in batches of what may wait at a time; give results and errors."""
        outcomes: list[AppendOutcome] = []
        group: list[Append] = []
        for append in appends:
            group.append(append)
            if len(group) == self._settings.max_waiting_appends:
                outcomes += self._attempt_group(group)
                group = []
        return outcomes + self._attempt_group(group)

    def attempt(self, append: Append) -> AppendOutcome:
        """Append, and give the result or the error."""
        with self._room:
            return self._attempt_group([append])[0]

    def _attempt_group(self, appends: Sequence[Append]) -> list[AppendOutcome]:
        queue = self._queue
        if queue is None:
            raise InvalidArgument(NOT_OPEN)
        return [self._recalled(queue, place) for place in self._send(queue, appends)]

    def _prepared(self, append: Append | PreparedAppend) -> PreparedAppend:
        if isinstance(append, PreparedAppend):
            return append
        return prepare(append, self._settings)

    def _recalled(self, queue: AppendQueue, place: Place) -> AppendOutcome:
        """Give the outcome; a retried append whose run stream was dropped since is settled."""
        while place.prepared is not None and is_archived(place.settled):
            try:
                found = self._recall(look_up(place.prepared, place.settled))
            except RunStoreError as error:
                return error
            if not isinstance(found, PreparedAppend):
                return found or place.settled
            (place,) = self._send(queue, [found])
        return place.settled

    def _send(self, queue: AppendQueue, appends: Sequence[Append | PreparedAppend]) -> list[Place]:
        batch = Batch(queue, self._waiting, appends, self._prepared)
        while not batch.is_done:
            with self._sending:
                # Another thread may have sent ours along while this one waited for its turn.
                if not queue:
                    batch.feed()
                if not batch.is_done:
                    self._deliver(queue, batch.feed)
        return batch.places

    def _deliver(self, queue: AppendQueue, meanwhile: Callable[[], None]) -> None:
        """Send what waits until every append of it is settled."""
        patience = Patience(self._settings)
        while True:
            with self._waiting:
                calls = queue.take(queue.partitions)
            try:
                again = self._attempt_calls(queue, calls, meanwhile)
            except BaseException:
                # Ctrl-C in this thread: the others' appends travel on with another one.
                with self._waiting:
                    queue.interrupted(calls)
                raise
            if not again:
                return
            self._pause(patience)

    def _attempt_calls(
        self, queue: AppendQueue, calls: list[Call], meanwhile: Callable[[], None]
    ) -> bool:
        """Send calls once; say whether some of it is to be tried again."""
        commands: list[Command[Any]] = [call.command for call in calls]
        if queue.confirmation is not None:
            commands.append(queue.confirmation)
        line = self._line(blocking=False)
        try:
            replies = line.exchange(commands, meanwhile)
        except ConnectionLost as loss:
            with self._waiting:
                return queue.lost(calls, loss)
        except RunStoreError as error:
            with self._waiting:
                queue.refused(calls, error)
            return False
        with self._waiting:
            again = queue.answered(calls, replies)
        if again:
            line.forget_idle()
        return again

    def perform(self, plan: Plan[T]) -> T:
        """Run a plan: do each step that it yields and send it the result."""
        try:
            step = next(plan)
            while True:
                try:
                    result = self._do(step)
                except RunStoreError as error:
                    step = plan.throw(error)
                else:
                    step = plan.send(result)
        except StopIteration as finished:
            return finished.value  # type: ignore[no-any-return]
        finally:
            plan.close()

    def _do(self, step: Step) -> Any:
        if isinstance(step, Append):
            outcome = self.attempt(step)
            if isinstance(outcome, RunStoreError):
                raise outcome
            return outcome
        if isinstance(step, Appends):
            return self.attempt_many(step.appends)
        if isinstance(step, Wait):
            return self._ask([step.command], blocking=True)[0]
        if isinstance(step, Recall):
            return self._recall(step)
        return self._ask(step, blocking=False)

    def _recall(self, step: Recall) -> Any:
        if self._shelf is None:
            raise InvalidArgument(NOT_OPEN)
        return self._shelf.recall(step.read)

    def _ask(self, commands: Sequence[Command[Any]], *, blocking: bool) -> list[Any]:
        """Send commands that may be sent twice; wait out restarts until the deadline."""
        patience = Patience(self._settings)
        while True:
            try:
                line = self._line(blocking=blocking)
                replies = line.exchange(commands)
                failed = next((r for r in replies if isinstance(r, Exception)), None)
                if failed is None:
                    with uncollected():
                        return [c.decode(r) for c, r in zip(commands, replies, strict=True)]
                if not is_not_now(failed):
                    raise refusal_of(failed)
                line.forget_idle()
            except ConnectionLost as loss:
                failed = loss.cause
            if patience.is_over:
                raise unavailable(self.shown, failed, self._settings.append_timeout_ms)
            self._pause(patience)

    def _pause(self, patience: Patience) -> None:
        """Pause before the next attempt; an embedded server that died is started again."""
        if self._embedded is not None:
            revive(self._embedded)
        time.sleep(patience.next_pause_s())

    def _line(self, *, blocking: bool) -> BlockingLine:
        if self._lines is None:
            raise InvalidArgument(NOT_OPEN)
        return self._lines[1 if blocking else 0]
