"""What all queries share: their database, and how a page is fetched."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, ClassVar, ParamSpec, TypeVar

from eventstore.errors import InvalidArgument
from eventstore.events import Position
from projections.database import Database, Transaction
from projections.queries.conditions import Conditions
from projections.queries.page import (
    MAX_LIMIT,
    Key,
    Page,
    check_whole,
    fingerprint,
    read_cursor,
    write_cursor,
)
from projections.waiting import DEFAULT_WAIT_S, Appended, wait_for

Item = TypeVar("Item")
Asked = ParamSpec("Asked")
Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Order:
    """An order that an index serves: columns, the last of which make each row's place unique."""

    columns: tuple[str, ...]
    kinds: tuple[type, ...]
    descending: bool = False
    present: bool = False
    """Rows without a value in the first column are left out."""

    def clause(self, *, back: bool = False) -> str:
        """Give it as SQL; ``back`` is the order turned around."""
        way = "DESC" if self.descending != back else "ASC"
        return "ORDER BY " + ", ".join(f"{column} {way}" for column in self.columns)


def chosen(orders: Mapping[str, Order], name: str) -> Order:
    """Give the order of a name; raise ``InvalidArgument`` if there is none."""
    if name not in tuple(orders):
        raise InvalidArgument(f"order must be one of {', '.join(orders)}, not {name!r}"[:300])
    return orders[name]


@dataclass(frozen=True, slots=True)
class Listing:
    """A table, the columns of it that make one item, and the function that makes it."""

    table: str
    columns: str
    make: Callable[..., Any]


def filtered(ask: Callable[Asked, Answer]) -> Callable[Asked, Answer]:
    """Let a query refuse a filter that it does not have with ``InvalidArgument``."""
    known = [name for name in inspect.signature(ask).parameters if name != "self"]

    @functools.wraps(ask)
    def asked(*args: Asked.args, **filters: Asked.kwargs) -> Answer:
        for name in filters:
            if name not in known:
                raise InvalidArgument(
                    f"{ask.__name__} has no filter {name!r}"[:200]
                    + f"; it takes {', '.join(known)}"
                )
        return ask(*args, **filters)

    return asked


class Queries:
    """Asks one database. Any thread may ask; results are plain values."""

    projection: ClassVar[str]
    """The projection whose rows are read."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def wait_for(
        self, appended: Appended | Iterable[Position], timeout: float | timedelta = DEFAULT_WAIT_S
    ) -> None:
        """Wait until answers include what was appended: read your own writes.

        A projector must be running, in this process or another. Raises ``WaitTimeout`` after
        ``timeout``, in seconds or a timedelta.
        """
        wait_for(self._database, appended, timeout, projections=[self.projection])

    def _rows(self, sql: str, *parameters: Any) -> list[Any]:
        with self._database.snapshot() as tx:
            return tx.execute(sql, parameters)

    def _page(
        self,
        listing: Listing,
        conditions: Conditions,
        order: Order,
        limit: int,
        cursor: str | None,
    ) -> Page[Any]:
        """Fetch a page of a table."""
        check_whole("limit", limit, MAX_LIMIT)
        if order.present:
            conditions.add(f"{order.columns[0]} IS NOT NULL")
        owner = fingerprint(listing.table, conditions.asked, order)

        def fetch(tx: Transaction, key: Key | None, count: int, *, back: bool) -> list[Any]:
            if key is not None:
                conditions.beyond(order.columns, key, descending=order.descending != back)
            return tx.execute(
                f"SELECT {', '.join(order.columns)}, {listing.columns} FROM {listing.table} "
                f"{conditions.where()} {order.clause(back=back)} LIMIT ?",
                (*conditions.parameters, count),
            )

        width = len(order.columns)
        return self._paged(
            owner,
            order.kinds,
            fetch,
            limit,
            cursor,
            key_of=lambda row: row[:width],
            make=lambda row: listing.make(*row[width:]),
        )

    def _paged(
        self,
        owner: str,
        kinds: tuple[type, ...],
        fetch: Callable[..., list[Any]],
        limit: int,
        cursor: str | None,
        *,
        key_of: Callable[[Any], Key],
        make: Callable[[Any], Any],
    ) -> Page[Any]:
        """Fetch a page, and one row more to know whether another one follows.

        ``fetch(tx, key, count, back=...)`` gives rows beyond a key, back ones the nearest first.
        """
        check_whole("limit", limit, MAX_LIMIT)
        place = None if cursor is None else read_cursor(cursor, owner, kinds)
        back = place is not None and place.back
        with self._database.snapshot() as tx:
            rows = fetch(tx, place and place.key, limit + 1, back=back)
        more = len(rows) > limit
        rows = rows[:limit][:: -1 if back else 1]
        has_next, has_previous = (True, more) if back else (more, place is not None)
        return Page(
            [make(row) for row in rows],
            write_cursor(owner, key_of(rows[-1])) if rows and has_next else None,
            write_cursor(owner, key_of(rows[0]), back=True) if rows and has_previous else None,
        )
