"""How one member takes a group's events: each at least once, in the order of the log.

XREADGROUP is not safe to repeat: a reply that is lost leaves its events pending for a member
that never saw them. So each exchange asks first for what this member has already been given
beyond the last event that arrived, and only then for new events. That shows exactly what got
lost, before anything later, however often the exchange is sent. Waiting at the end of the log is
left to a plain XREAD, which gives nothing away and can be cut short at any time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from eventstore.commands import Command, tail
from eventstore.errors import HistoryGap, LogRegressed, ServerRefused
from eventstore.events import Position, RecordedEvent
from eventstore.groups import commands
from eventstore.groups.commands import Membership, Pages
from eventstore.groups.joining import vanished
from eventstore.operations import Operations
from eventstore.plan import Plan, Wait

_PENDING_PAGE = 200


class Intake:
    """What one member has been given of each partition, and the plans that go on from there.

    ``served`` says how far the group was served when the member joined; ``each`` bounds the
    events that one exchange takes of each partition.
    """

    def __init__(
        self, operations: Operations, who: Membership, served: Mapping[int, Position], each: int
    ) -> None:
        self._operations = operations
        self.who = who
        self._each = each
        self._arrived = {partition: Position(partition, 0, 0) for partition in served}
        self._reached = dict(served)
        self._behind = False

    def take(
        self, handled: Sequence[Position] = (), *, check_end: bool = False
    ) -> Plan[list[RecordedEvent]]:
        """Acknowledge what was handled and take what comes next; empty at the log's end.

        With ``check_end`` it also reads where the log ends. Raises ``LogRegressed``,
        ``HistoryGap``, ``CorruptEvent`` and ``UnknownGroup``.
        """
        step = self._acknowledgements(handled)
        tails = [tail(self.who.keys, p) for p in self._reached] if check_end else []
        was_behind = self._behind
        reads = [self._read_own()] if was_behind else [self._read_own(), self._read_new()]
        try:
            replies = yield [*step, *tails, *reads]
        except ServerRefused as error:
            if not str(getattr(error, "reply", "")).startswith("NOGROUP"):
                raise
            raise (yield from vanished(self._operations, self.who.group, self._reached)) from error
        self._check_tails(replies[len(step) : len(step) + len(tails)])
        own, *new = replies[len(step) + len(tails) :]
        events = self._of_own(own)
        for pages in new:
            yield from self._check_log(pages)
            events += self._of_new(pages, own)
        if was_behind and not events:
            events = yield from self.take(check_end=check_end)
        return events

    def acknowledge(self, handled: Sequence[Position]) -> Plan[None]:
        """Acknowledge what was handled."""
        yield self._acknowledgements(handled)

    def leave(self, handled: Sequence[Position]) -> Plan[None]:
        """Acknowledge what was handled, and take this member off the list of members."""
        yield [*self._acknowledgements(handled), commands.leave(self.who)]

    def beat(self, silent_ms: int) -> Plan[frozenset[str]]:
        """Report this member as alive; give who else was heard of within ``silent_ms``."""
        (alive,) = yield [commands.beat(self.who, silent_ms)]
        return alive  # type: ignore[no-any-return]

    def _acknowledgements(self, handled: Sequence[Position]) -> list[Command[Any]]:
        ordered = sorted(handled)
        return [
            commands.acknowledge(self.who, partition, list(positions))
            for partition, positions in groupby(ordered, key=lambda position: position.partition)
        ]

    def wait(self) -> Plan[bool]:
        """Wait at the log's end, once ``take`` with ``check_end`` found nothing more."""
        block_ms = self._operations.settings.block_ms
        news = yield Wait(commands.wait_for_news(self.who.keys, self._reached, block_ms))
        return bool(news)

    def recover(
        self, idle_ms: int, alive: frozenset[str], held: set[Position], limit: int
    ) -> Plan[list[RecordedEvent]]:
        """Take up to ``limit`` events that nobody is handling, each partition in order.

        These are pending for ``idle_ms`` or more, for members that are not alive, or for this
        one, which does not hold them: it took them over, and the reply was lost. Raises
        ``HistoryGap`` for an event that left the log unhandled.
        """
        waiting: dict[int, Position | None] = dict.fromkeys(self._reached)
        stale: list[Position] = []
        while waiting and len(stale) < limit:
            pages = yield [
                commands.idle_pending(self.who, partition, idle_ms, after, _PENDING_PAGE)
                for partition, after in waiting.items()
            ]
            for page in pages:
                stale += [one.position for one in page if self._is_stale(one, alive, held)]
            full = [page[-1].position for page in pages if len(page) == _PENDING_PAGE]
            waiting = {position.partition: position for position in full}
        return (yield from self._claim(idle_ms, stale[:limit]))

    def _is_stale(
        self, pending: commands.Pending, alive: frozenset[str], held: set[Position]
    ) -> bool:
        if pending.member != self.who.member:
            return pending.member not in alive
        # What lies beyond the last arrival comes with the next exchange, in its order.
        has_passed = pending.position <= self._arrived[pending.position.partition]
        return has_passed and pending.position not in held

    def _claim(self, idle_ms: int, stale: list[Position]) -> Plan[list[RecordedEvent]]:
        if not stale:
            return []
        pages = yield [
            commands.claim(self.who, self._operations.decoder, p, idle_ms, list(positions))
            for p, positions in groupby(sorted(stale), key=lambda position: position.partition)
        ]
        return [event for page in pages for event in page]

    def _read_own(self) -> Command[Pages]:
        return commands.read_own(self.who, self._operations.decoder, self._arrived, self._each)

    def _read_new(self) -> Command[Pages]:
        return commands.read_new(self.who, self._operations.decoder, self._reached, self._each)

    def _of_own(self, pages: Pages) -> list[RecordedEvent]:
        events: list[RecordedEvent] = []
        for page in pages.values():
            if page:
                events += page
                self._note_arrival(page[-1].position)
        self._behind = any(len(page) == self._each for page in pages.values())
        return events

    def _of_new(self, pages: Pages, own: Pages) -> list[RecordedEvent]:
        events: list[RecordedEvent] = []
        for partition, page in pages.items():
            if len(own.get(partition, ())) == self._each:
                continue  # more of the member's own comes first; this page is then part of it
            self._check_page(page)
            events += page
            self._note_arrival(page[-1].position)
        return events

    def _note_arrival(self, last: Position) -> None:
        self._arrived[last.partition] = last
        self._reached[last.partition] = max(self._reached[last.partition], last)

    def _check_log(self, pages: Pages) -> Plan[None]:
        """Check new events, and that the log is still the one that earlier ones came from."""
        seen_again = []
        for partition, page in pages.items():
            self._check_page(page)
            if page[0].position <= self._arrived[partition]:
                seen_again.append(self._arrived[partition])
        if not seen_again:
            return
        # A server that lost this group's progress gives events again. One that lost events
        # may have put others in their place, and then the last one that came is not there.
        there = yield [commands.is_in_log(self.who, position) for position in seen_again]
        for position, is_there in zip(seen_again, there, strict=True):
            if not is_there:
                end = pages[position.partition][-1].position
                raise LogRegressed(self.who.place(position.partition), position, end)

    def _check_page(self, page: Sequence[RecordedEvent]) -> None:
        """Check a page of new events, which lay side by side in the log."""
        first, last = page[0].position, page[-1].position
        reached = self._reached[first.partition]
        where = self.who.place(first.partition)
        if last > reached and last.n <= reached.n:
            raise LogRegressed(where, reached, last)
        if last.n - first.n != len(page) - 1:
            raise HistoryGap(where, f"{last.n - first.n + 1} entries up to {last}", len(page))

    def _check_tails(self, tails: Sequence[Position]) -> None:
        for end in tails:
            reached = self._reached[end.partition]
            # A log made anew may have later entries, but fewer of them.
            if end != reached and (end < reached or end.n <= reached.n):
                raise LogRegressed(self.who.place(end.partition), reached, end)
            self._reached[end.partition] = end
