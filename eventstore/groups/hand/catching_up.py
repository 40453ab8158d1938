"""How a group that was away, or made late, comes from the archive to the end of the log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from eventstore.commands import log_start
from eventstore.events import RecordedEvent
from eventstore.groups import leases
from eventstore.groups.hand.hand import Hand
from eventstore.groups.hand.holding import Holding, Phase
from eventstore.operations import Operations
from eventstore.plan import Plan


class CatchingUp:
    """The plans by which a member takes events that have left the log.

    Archive and log are read together, so there is no seam. There are no pending entries to tell
    what a member that died had in hand: the lease says how far it had looked ahead.
    """

    def __init__(self, operations: Operations, hand: Hand, each: int) -> None:
        self._operations = operations
        self._keys = operations.keys
        self._hand = hand
        self._each = each

    def take(self, holdings: Sequence[Holding]) -> Plan[int]:
        """Read what comes next from archive and log together; go live where the log has it."""
        count = 0
        starts = yield [log_start(self._keys, holding.partition) for holding in holdings]
        behind: dict[int, Holding] = {}
        for holding, begins in zip(holdings, starts, strict=True):
            if begins is not None and begins.n <= holding.reached.n + 1:
                count += yield from self._go_live(holding)
            else:
                behind[holding.partition] = holding
        if not behind:
            return count
        reached = {partition: holding.reached for partition, holding in behind.items()}
        pages = yield from self._operations.log_pages(reached, self._each)
        found = {partition: page for partition, page in pages.items() if page}
        for partition in behind.keys() - found.keys():
            count += yield from self._go_live(behind[partition])
        return count + (yield from self._look_ahead(behind, found))

    def _look_ahead(self, behind: Mapping[int, Holding], pages: leases.Pages) -> Plan[int]:
        """Take pages of the archive, once it is noted how far they go."""
        if not pages:
            return 0
        noted = yield [
            leases.look_ahead(behind[partition].hold, page[-1].position)
            for partition, page in pages.items()
        ]
        count = 0
        for (partition, page), counted in zip(pages.items(), noted, strict=True):
            holding = behind[partition]
            if counted is None:
                self._hand.drop(holding)
                continue
            self._suspect(holding, page, counted)
            self._hand.put(holding, page)
            count += len(page)
        return count

    @staticmethod
    def _suspect(
        holding: Holding, page: Sequence[RecordedEvent], counted: Mapping[str, int]
    ) -> None:
        """Have events handled alone that a member, which died since, had in hand."""
        for event in page:
            deliveries = counted.get(event.position.entry_id)
            if deliveries or (holding.predecessor_died and event.position <= holding.ahead):
                holding.deliveries[event.position.n] = (deliveries or 1, False)
                holding.suspects.add(event.position.n)

    def _go_live(self, holding: Holding) -> Plan[int]:
        if holding.outstanding or holding.has_news:
            return 0  # first everything from the archive is through
        (outcome,) = yield [leases.go_live(holding.hold, holding.reached)]
        if outcome == leases.GONE:
            self._hand.drop(holding)
        elif outcome == leases.LIVE:
            holding.phase = Phase.LIVE
            return 1
        return 0
