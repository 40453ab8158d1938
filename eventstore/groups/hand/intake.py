"""How one member takes events of the partitions that it holds: in the order of the log.

A plain XREADGROUP is neither fenced nor safe to repeat: a reply that is lost leaves its events
pending for a member that never saw them, and a member that lost its lease may take some. Both
show as a hole, since the log counts without a gap: what is missing before the events that came is
claimed first. At the log's end the tails show what is missing behind the last one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from eventstore.commands import Command, log_start, tail
from eventstore.errors import HistoryGap, LogRegressed, ServerRefused
from eventstore.events import Position, RecordedEvent
from eventstore.groups import leases
from eventstore.groups.hand.catching_up import CatchingUp
from eventstore.groups.hand.hand import Hand
from eventstore.groups.hand.holding import Holding, Phase
from eventstore.groups.hold import Membership
from eventstore.groups.joining import vanished
from eventstore.groups.leases import Claimed
from eventstore.operations import Operations
from eventstore.plan import Plan, Wait


class Intake:
    """The plans by which a member fills its hand.

    ``each`` bounds what one exchange takes of each partition.
    """

    def __init__(self, operations: Operations, who: Membership, hand: Hand, each: int) -> None:
        self._operations = operations
        self._keys = operations.keys
        self._decoder = operations.decoder
        self.who = who
        self._hand = hand
        self._each = each
        self._catching_up = CatchingUp(operations, hand, each)

    def take(self, *, fresh: bool, check_end: bool = False) -> Plan[int]:
        """Acknowledge what is through and take what comes next; give how many events came.

        Without ``fresh``, only what was pending is taken. With ``check_end`` it makes sure that
        nothing is missing at the log's end. Raises ``LogRegressed``, ``HistoryGap``,
        ``CorruptEvent`` and ``UnknownGroup``.
        """
        try:
            return (yield from self._take(fresh=fresh, check_end=check_end))
        except ServerRefused as error:
            if not str(getattr(error, "reply", "")).startswith("NOGROUP"):
                raise
            raise (
                yield from vanished(self._operations, self.who.group, self._hand.known)
            ) from error

    def _take(self, *, fresh: bool, check_end: bool) -> Plan[int]:
        holdings = list(self._hand.holdings.values())
        pending = self._in_phase(Phase.PENDING)
        live = {h.partition: h for h in self._in_phase(Phase.LIVE)} if fresh else {}
        acknowledging, notes = self._acknowledgements(holdings)
        claims = [self._claim_pending(holding) for holding in pending]
        tails = [tail(self._keys, partition) for partition in live] if check_end else []
        reads: list[Command[Any]] = []
        if live:
            reads = [leases.read_new(self.who, self._decoder, live, self._each)]
        # Reading comes before the scripts: where a server lacks one, what stands behind it is sent
        # again, and what was read first would be left pending.
        step: list[Command[Any]] = [*tails, *reads, *acknowledging, *claims]
        replies = iter((yield step) if step else ())
        ends = [next(replies) for _ in tails]
        pages: leases.Pages = next(replies) if reads else {}
        self._note(notes, [next(replies) for _ in acknowledging])
        count = 0
        for holding in pending:
            count += self._take_pending(holding, next(replies))
        for partition, page in pages.items():
            count += yield from self._take_new(live[partition], page)
        for end in ends:
            if len(pages.get(end.partition, ())) < self._each:
                count += yield from self._check_end(live[end.partition], end)
        if fresh and (behind := self._in_phase(Phase.ARCHIVE)):
            count += yield from self._catching_up.take(behind)
        return count

    def _in_phase(self, phase: Phase) -> list[Holding]:
        return [
            holding
            for holding in self._hand.holdings.values()
            if holding.phase is phase and not holding.is_leaving
        ]

    # What is through

    def acknowledge(self, holdings: Sequence[Holding]) -> Plan[None]:
        """Acknowledge what is through."""
        commands, notes = self._acknowledgements(holdings)
        if commands:
            self._note(notes, (yield commands))

    def _acknowledgements(
        self, holdings: Sequence[Holding]
    ) -> tuple[list[Command[bool]], list[tuple[Holding, int, Position]]]:
        told = [holding for holding in holdings if holding.has_news]
        notes = [(holding, len(holding.finished), holding.done) for holding in told]
        return [leases.acknowledge(h.hold, h.finished, h.done) for h in told], notes

    def _note(self, notes: list[tuple[Holding, int, Position]], accepted: list[bool]) -> None:
        for (holding, count, done), is_accepted in zip(notes, accepted, strict=True):
            if is_accepted:
                del holding.finished[:count]
                holding.acknowledged_done = done
            else:
                self._hand.drop(holding)

    # What was pending

    def _claim_pending(self, holding: Holding) -> Command[list[Claimed] | None]:
        return leases.claim(
            holding.hold, self._decoder, holding.reached, holding.delivered, self._each
        )

    def _take_pending(self, holding: Holding, claimed: list[Claimed] | None) -> int:
        if claimed is None:
            self._hand.drop(holding)
            return 0
        for one in claimed:
            position = one.event.position
            if one.deliveries > 1:
                # It may have been at work when an earlier owner died, whoever came in between.
                holding.suspects.add(position.n)
            if one.deliveries > 1 or position <= holding.doubted:
                # Read ahead once, most likely: then it is tried beside others, and counted.
                holding.deliveries[position.n] = (one.deliveries, False)
        self._hand.put(holding, [one.event for one in claimed])
        self._hand.counts.recovered += len(claimed)
        if len(claimed) < self._each:
            self._hand.pass_over(holding, holding.delivered)
            holding.phase = Phase.LIVE
        return max(1, len(claimed))

    # What is new

    def _take_new(self, holding: Holding, page: list[RecordedEvent]) -> Plan[int]:
        if holding.is_lost:
            return 0
        self._check_unbroken(holding, page)
        if page[0].position.n <= holding.reached.n:
            page = yield from self._seen_again(holding, page)
        count = 0
        if page and page[0].position.n > holding.reached.n + 1:
            count = yield from self._fill_hole(holding, page[0].position)
        if holding.is_lost or not page:
            return count
        self._hand.put(holding, page)
        return count + len(page)

    def _seen_again(self, holding: Holding, page: list[RecordedEvent]) -> Plan[list[RecordedEvent]]:
        """Leave out what came before: a server that lost this group's progress gives it again.

        One that lost events may have put others in their place; then the last one that came is
        not there, or is another. Raises ``LogRegressed``.
        """
        (there,) = yield [leases.event_at(self._keys, self._decoder, holding.reached)]
        if there is None:
            raise LogRegressed(str(holding.hold), holding.reached, page[-1].position)
        if self._hand.is_another(there):
            raise LogRegressed(str(holding.hold), holding.reached, "another event in its place")
        for event in page:
            if event.position <= holding.reached and not holding.is_outstanding(event.position):
                holding.finished.append(event.position)
        return [event for event in page if event.position > holding.reached]

    def _fill_hole(self, holding: Holding, before: Position | None) -> Plan[int]:
        """Claim what was given to others, or got lost on the way here, before an event."""
        count = 0
        while not holding.is_lost:
            (claimed,) = yield [
                leases.claim(holding.hold, self._decoder, holding.reached, before, self._each)
            ]
            if claimed is None:
                self._hand.drop(holding)
                return count
            events = [c.event for c in claimed if before is None or c.event.position < before]
            if not events:
                return count if before is None else (yield from self._still_missing(holding, count))
            if events[0].position.n != holding.reached.n + 1:
                break
            self._check_unbroken(holding, events)
            self._hand.put(holding, events)
            self._hand.counts.recovered += len(events)
            count += len(events)
            if before is not None and holding.reached.n + 1 == before.n:
                return count
        return (yield from self._still_missing(holding, count))

    def _still_missing(self, holding: Holding, count: int) -> Plan[int]:
        """Say what became of events that are neither new nor pending: trimmed, or lost."""
        (begins,) = yield [log_start(self._keys, holding.partition)]
        if begins is not None and begins.n <= holding.reached.n + 1:
            expected = f"entry {holding.reached.n + 1}"
            raise HistoryGap(str(holding.hold), expected, "nothing, new or pending")
        # This member was away for so long that the log went on without it. Taking the lease
        # again finds out from where the archive is to be read.
        self._hand.drop(holding)
        return count

    def _check_end(self, holding: Holding, end: Position) -> Plan[int]:
        """Make sure that everything up to the log's end came."""
        reached = holding.reached
        if holding.is_lost or end == reached:
            return 0
        if end.n < reached.n or (end.n == reached.n and end != reached):
            if end.n == reached.n and end > reached:
                return 0  # a start between two entries
            raise LogRegressed(str(holding.hold), reached, end)
        if end.n > reached.n:
            return (yield from self._fill_end(holding, end))
        return 0

    def _fill_end(self, holding: Holding, end: Position) -> Plan[int]:
        before = holding.reached
        count = yield from self._fill_hole(holding, None)
        if not holding.is_lost and holding.reached.n < end.n and holding.reached == before:
            count = yield from self._still_missing(holding, count)
        return count

    def _check_unbroken(self, holding: Holding, page: Sequence[RecordedEvent]) -> None:
        first, last = page[0].position, page[-1].position
        if last > holding.reached and last.n <= holding.reached.n:
            raise LogRegressed(str(holding.hold), holding.reached, last)
        if last.n - first.n != len(page) - 1:
            raise HistoryGap(
                str(holding.hold), f"{last.n - first.n + 1} entries up to {last}", len(page)
            )

    @property
    def can_wait(self) -> bool:
        """Whether any partition is followed in the log."""
        return bool(self._in_phase(Phase.LIVE))

    def wait(self) -> Plan[bool]:
        """Wait at the log's end, once ``take`` with ``check_end`` found nothing more."""
        reached = {h.partition: h.reached for h in self._in_phase(Phase.LIVE)}
        block_ms = self._operations.settings.block_ms
        news = yield Wait(leases.wait_for_news(self._keys, reached, block_ms))
        return bool(news)
