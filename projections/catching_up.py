"""Takes in what live rows had had, when older ones took their place in the same transaction."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from eventstore.clock import Clock
from projections.database import Database, Transaction
from projections.feed import Feed, reached_all
from projections.log import Log
from projections.projection import Projection
from projections.standing import Standing

_HALTED = "SELECT paused_ms, paused_cause, name FROM projections WHERE paused_ms NOT NULL"
_HALT = "UPDATE projections SET paused_ms = ?, paused_cause = ? WHERE name = ?"


def catch_up(
    tx: Transaction,
    store: Log,
    projections: Sequence[Projection],
    before: Mapping[str, Standing],
    clock: Clock,
) -> None:
    """Read at least as far as the rows of ``before`` were, so that none of them goes back.

    Where the log has gone back, its end must do: those rows were of events that are lost. A
    paused projection is taken there too, and stays paused. Raises ``ProjectionFailed`` for an
    event that cannot be taken.
    """
    wanted = [(one.name, before[one.name].positions) for one in projections if one.name in before]
    halted = tx.execute(_HALTED)
    tx.executemany(_HALT, [(None, None, name) for *_, name in halted])
    feed = Feed(store, _Joined(tx), [one.fresh() for one in projections], clock=clock)
    feed.begin()
    while not all(reached_all(feed.standings[name].positions, places) for name, places in wanted):
        count = feed.once()
        feed.raise_stopped()
        if not count:
            break
        feed.begin()
    tx.executemany(_HALT, halted)


class _Joined(Database):
    """A database as it is within one open transaction: all that is done to it joins that one."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    @contextmanager
    def transaction(self, *, patience_ms: int = 0) -> Iterator[Transaction]:  # noqa: ARG002
        yield self._tx

    @contextmanager
    def snapshot(self) -> Iterator[Transaction]:
        yield self._tx
