"""How a member comes to hold partitions, keeps them, and hands them on. Plans, without any I/O."""

from __future__ import annotations

import logging
import zlib
from collections.abc import Callable, Iterable

from eventstore.commands import Command, log_start, server_time
from eventstore.errors import LogRegressed
from eventstore.groups import leases
from eventstore.groups.hand.hand import Hand
from eventstore.groups.hand.holding import Holding
from eventstore.groups.hold import Membership
from eventstore.groups.joining import vanished
from eventstore.groups.leases import Grant, Lease
from eventstore.groups.member.shares import share
from eventstore.groups.parking.owner import parked_runs
from eventstore.operations import Operations
from eventstore.plan import Plan

_log = logging.getLogger(__name__)


class Tenure:
    """The heartbeat of one member: it reports as alive, prolongs its leases and shares fairly."""

    def __init__(
        self,
        operations: Operations,
        who: Membership,
        hand: Hand,
        lease_ms: int,
        now_s: Callable[[], float],
    ) -> None:
        self._operations = operations
        self._keys = operations.keys
        self._who = who
        self._hand = hand
        self._lease_ms = lease_ms
        self._now_s = now_s
        self._others: dict[int, Lease] = {}
        self._alive_others: set[int] = set()
        self.is_ending = False
        """Whether nothing more is to be taken."""
        self.is_hungry = True
        """Whether this member should hold more than it does."""

    @property
    def is_settled(self) -> bool:
        """Whether every partition is held here, or by a member that is known to be alive."""
        held = self._hand.holdings.keys() | self._alive_others
        return len(held) == self._keys.partitions

    def beat(self) -> Plan[int]:
        """Do all that is due; give how many partitions were taken.

        Raises ``LogRegressed`` and ``UnknownGroup``.
        """
        holdings = list(self._hand.holdings.values())
        others = [p for p in range(self._keys.partitions) if p not in self._hand.holdings]
        asked_s = self._now_s()
        alive, now_ms, *replies = yield [
            leases.beat(self._who, self._lease_ms),
            server_time(),
            *(leases.renew(holding.hold, self._lease_ms) for holding in holdings),
            *(leases.read_lease(self._keys, p, self._who.group) for p in others),
        ]
        self._renew(zip(holdings, replies[: len(holdings)], strict=True), asked_s)
        found = dict(zip(others, replies[len(holdings) :], strict=True))
        self._note_others(found)
        if self.is_ending:
            return 0
        quota = share(self._who.member, alive, self._keys.partitions)
        self._give_up(len(self._staying()) - quota)
        missing = quota - len(self._staying())
        free = [p for p in self._in_own_order(found) if found[p].is_free(self._who.member, now_ms)]
        wanted = free[: max(0, missing)]
        if wanted:
            # Who held them may have left because of a loss, which was told to that member alone.
            yield from self._operations.log.check_kept()
        taken = 0
        for partition in wanted:
            taken += yield from self._take(partition)
        self.is_hungry = taken < missing
        return taken

    def _staying(self) -> list[Holding]:
        return [holding for holding in self._hand.holdings.values() if not holding.is_leaving]

    def _renew(self, renewed: Iterable[tuple[Holding, bool]], asked_s: float) -> None:
        for holding, is_renewed in renewed:
            if is_renewed:
                holding.valid_until_s = asked_s + self._lease_ms / 1000
                self._hand.wake(holding)
            else:
                _log.warning("%s: %s lost the lease%s",
                             holding.hold, self._who, self._why_lost(holding, asked_s))  # fmt: skip
                self._hand.drop(holding)

    def _why_lost(self, holding: Holding, asked_s: float) -> str:
        """Guess it, where this member itself was late: the others did nothing wrong."""
        late_s = asked_s - holding.valid_until_s
        if late_s < 0:
            return ""
        silent_s = late_s + self._lease_ms / 1000
        return (
            f": it gave no sign of life for {silent_s:.1f} s; was the server away, or does a "
            "handler that is async block the loop?"
        )

    def _note_others(self, found: dict[int, Lease]) -> None:
        """Tell those that are alive, whose lease moves, from those that only have one still."""
        self._alive_others.intersection_update(found)
        for partition, lease in found.items():
            before = self._others.get(partition, lease)
            if lease.owner in ("", self._who.member):
                self._alive_others.discard(partition)
            elif lease.until_ms > before.until_ms:
                self._alive_others.add(partition)
            elif lease.owner != before.owner:
                self._alive_others.discard(partition)
        self._others = found

    def _give_up(self, surplus: int) -> None:
        """Let go of what others should have, first of that where the least is at work, or waits."""
        if surplus > 0:
            by_work = sorted(self._staying(), key=lambda h: (h.working, h.outstanding))
            for holding in by_work[:surplus]:
                self._hand.leave(holding)

    def _in_own_order(self, partitions: Iterable[int]) -> list[int]:
        """Order partitions differently for each member, so that few want the same at once."""
        name = self._who.member.encode()
        return sorted(partitions, key=lambda p: zlib.crc32(b"%d %s" % (p, name)))

    def _take(self, partition: int) -> Plan[int]:
        asked_s = self._now_s()
        (grant,) = yield [leases.acquire(self._who, partition, self._lease_ms)]
        if not isinstance(grant, Grant):
            if grant:
                seen = self._hand.known
                raise (yield from vanished(self._operations, self._who.group, seen))
            return 0
        yield from self._check(grant)
        parked = yield from parked_runs(self._keys, self._who.group, partition)
        holding = Holding(grant, asked_s + self._lease_ms / 1000, parked)
        self._hand.holdings[partition] = holding
        return 1

    def _check(self, grant: Grant) -> Plan[None]:
        """Make sure that the log is still the one that this member, and the group, have seen."""
        partition, where = grant.hold.partition, str(grant.hold)
        served = max(grant.done, grant.delivered)
        if grant.tail < served:
            raise LogRegressed(where, served, grant.tail)
        known = self._hand.known.get(partition)
        if known is None or not known.n:
            return
        there, begins = yield [
            leases.event_at(self._keys, self._operations.decoder, known),
            log_start(self._keys, partition),
        ]
        is_trimmed = grant.tail >= known and (begins is None or begins > known)
        if there is None and not is_trimmed and known != served:
            raise LogRegressed(where, known, grant.tail)
        if there is not None and self._hand.is_another(there):
            raise LogRegressed(where, known, "another event in its place")

    def release(self, *, everything: bool = False) -> Plan[None]:
        """Hand on the partitions of which nothing is being handled any more."""
        leaving = [
            holding
            for holding in self._hand.holdings.values()
            if (everything or holding.is_leaving) and holding.is_idle and not holding.is_overrun
        ]
        commands: list[Command[bool]] = []
        for holding in leaving:
            if holding.has_news:
                hold, finished, done = holding.hold, holding.finished, holding.done
                commands.append(leases.acknowledge(hold, finished, done))
            commands.append(leases.release(holding.hold))
        if commands:
            yield commands
        for holding in leaving:
            self._hand.forget(holding)
