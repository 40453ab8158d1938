"""Whether a position that somebody names is one of this store."""

from __future__ import annotations

from eventstore.commands import Command, log_start
from eventstore.errors import InvalidArgument
from eventstore.events import Position
from eventstore.keys import Keys
from eventstore.plan import Plan, Recall


def known_position(keys: Keys, at: Position) -> Plan[Position]:
    """Give a position back if its entry is, or may have been, there.

    Raises ``InvalidArgument`` for one that this store never had: a group counts from it.
    """
    if at.n:
        words = ("XRANGE", keys.log(at.partition), at.entry_id, at.entry_id)
        first, is_there = yield [log_start(keys, at.partition), Command(words, bool)]
        if not is_there and (first is None or at.n < first.n):
            is_there = yield from _may_be_archived(at)
        if not is_there:
            raise InvalidArgument(
                f"the log has no entry {at}: is it a position of another store?", position=at
            )
    return at


def _may_be_archived(at: Position) -> Plan[bool]:
    before = at._replace(n=at.n - 1)
    page = yield Recall(lambda archive: archive.log_page(before, 1, at.n))
    return page is None or at in {event.position for event in page}
