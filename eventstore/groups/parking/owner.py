"""The calls by which the owner of a partition sets runs aside, and handles them again.

Each is refused, with nothing changed, once the lease went to somebody else: the result is then
None. Each may be sent twice, as a lost reply makes it. What a run needs is kept as one record::

    <dead id> <first version> <last version> parked | redrive <attempts begun at the first>

A redriven run's events are handled like this, one after another from ``first`` to ``last``::

    begin_redrive(hold, run_id, version, attempt)   before the handler; attempts count from 1
    release(hold, run_id, version)                  after it went well
    park_again(hold, event, failure)                when it failed for good

The first attempt is ``Redrive.begun + 1`` for the first event, 1 for each later one. An attempt
that kills its process is in ``begun`` already when the next owner reads the run: once that is
``max_deliveries``, park it again instead of handling it. A crash between the handler's end and
``release`` has that one event handled again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from eventstore.commands import Command
from eventstore.events import Position, RecordedEvent
from eventstore.groups.hold import Hold
from eventstore.groups.parking.failure import Failure
from eventstore.keys import Keys
from eventstore.plan import Plan


@dataclass(frozen=True, slots=True)
class Redrive:
    """A run that is to be handled after all: its versions ``first`` to ``last``, both in.

    ``begun`` counts the attempts at ``first`` that were begun since that was asked.
    """

    run_id: str
    first: int
    last: int
    begun: int


def park(
    hold: Hold, event: RecordedEvent, failure: Failure, handled: Sequence[Position] = ()
) -> Command[bool | None]:
    """Set a failed event aside, and with it its run: True, also if it is so already.

    ``handled`` are the run's earlier events that went well and are not acknowledged yet. They
    are, in the same step: a successor must not be given them after this one is out of the way.
    """
    keys = (hold.lease, hold.log, *_kept(hold, "parked", "dead"))
    ids = [position.entry_id for position in handled]
    words = (*_fence(hold), *_about(event), *failure.fields(), *ids)
    return Command((len(keys), *keys, hold.group, *words), _done, script="parking/park")


@dataclass(frozen=True, slots=True)
class HeldBack:
    """Which of a run's events are set aside now; each other one is to be handled as usual.

    ``is_parked`` is False when the run is no longer set aside: it was handled to its end, or
    discarded. Only then may the owner forget that it is. Where it still is, the others lie before
    what is set aside, and come again because a group was set back or an owner died.
    """

    versions: frozenset[int]
    is_parked: bool

    def __contains__(self, version: int) -> bool:
        return version in self.versions


def hold_back(
    hold: Hold, run_id: str, places: Sequence[tuple[int, Position]]
) -> Command[HeldBack | None]:
    """Set later events of a parked run aside as well: versions, in order, and their positions."""
    keys = (hold.lease, hold.log, *_kept(hold, "parked"))
    words = [word for version, position in places for word in (version, position.entry_id)]
    versions = [version for version, _ in places]

    def decode(count: int | None) -> HeldBack | None:
        if count is None:
            return None
        return HeldBack(frozenset(versions[len(versions) - max(count, 0) :]), count >= 0)

    return Command(
        (len(keys), *keys, hold.group, *_fence(hold), run_id, *words),
        decode,
        script="parking/hold_back",
    )


def begin_redrive(hold: Hold, run_id: str, version: int, attempt: int) -> Command[bool | None]:
    """Note that the handler is about to get an event of a redriven run.

    False: it must not, since the run was discarded, is through with it, or is parked again: it
    may so still be set aside, and only ``hold_back`` tells.
    Versions before this one count as handled: a group with a filter passes over them.
    """
    keys = (hold.lease, *_kept(hold, "parked"))
    words = (*_fence(hold), run_id, version, attempt)
    return Command((len(keys), *keys, *words), _done, script="parking/begin")


def release(hold: Hold, run_id: str, version: int) -> Command[int | None]:
    """Note that a redriven run was handled up to a version.

    Gives the last version that is still set aside: go on with those up to it, which may have
    come meanwhile. 0: there is none, the run is no longer parked, and what comes of it is handled
    as usual. That is so too when it was discarded meanwhile.
    """
    keys = (hold.lease, *_kept(hold, "parked", "dead", "redrive"))
    words = (*_fence(hold), run_id, version)
    return Command((len(keys), *keys, *words), _number, script="parking/release")


def park_again(hold: Hold, event: RecordedEvent, failure: Failure) -> Command[bool | None]:
    """Set a redriven run aside again, because an event of it failed after ``begin_redrive``.

    The time of the first failure stays, and the deliveries are added to those before. False: the
    run was discarded meanwhile, so the event is out of the way.
    """
    keys = (hold.lease, *_kept(hold, "parked", "dead", "redrive"))
    words = (*_fence(hold), *_about(event), *failure.fields())
    return Command((len(keys), *keys, *words), _done, script="parking/park_again")


def redrives(hold: Hold, limit: int) -> Command[list[Redrive]]:
    """Read up to ``limit`` runs that are to be handled after all, those asked for first first.

    A run stays in the list until it is handled to its end, parked again or discarded.
    """
    keys = _kept(hold, "redrive", "parked")

    def decode(rows: list[list[bytes | None]]) -> list[Redrive]:
        return [_redrive(run_id, record) for run_id, record in rows if run_id and record]

    return Command((len(keys), *keys, limit), decode, script="parking/redrives")


def parked_runs(keys: Keys, group: str, partition: int, page_runs: int = 500) -> Plan[set[str]]:
    """Read the ids of all runs that a partition's group has set aside, a page at a time."""
    found: set[str] = set()
    cursor = 0
    while True:
        words = ("HSCAN", keys.parked(partition, group), cursor, "COUNT", page_runs)
        (reply,) = yield [Command(words, lambda reply: (int(reply[0]), reply[1][::2]))]
        cursor, run_ids = reply
        found.update(run_id.decode() for run_id in run_ids)
        if not cursor:
            return found


def _redrive(run_id: bytes, record: bytes) -> Redrive:
    _, first, last, _, begun = record.split(b" ")
    return Redrive(run_id.decode(), int(first), int(last), int(begun))


def _kept(hold: Hold, *names: str) -> list[str]:
    """Name the group's keys of the partition."""
    return [getattr(hold.keys, name)(hold.partition, hold.group) for name in names]


def _fence(hold: Hold) -> tuple[str, int]:
    return (hold.member, hold.epoch)


def _about(event: RecordedEvent) -> tuple[Any, ...]:
    where = event.position.entry_id
    return (event.run_id, event.version, where, event.type, event.workflow_id or "")


def _done(reply: int | None) -> bool | None:
    return None if reply is None else bool(reply)


def _number(reply: int | None) -> int | None:
    return None if reply is None else int(reply)
