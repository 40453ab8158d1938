"""What all queries share: their database, and how a page is fetched."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

from eventstore.errors import InvalidArgument
from eventstore.events import Position
from projections.database import Database
from projections.positions import DEFAULT_WAIT_S, Appended, wait_for
from projections.queries.conditions import Conditions
from projections.queries.page import (
    MAX_LIMIT,
    Page,
    check_whole,
    fingerprint,
    read_cursor,
    write_cursor,
)

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Order:
    """An order that an index serves: columns, the last of which make each row's place unique."""

    columns: tuple[str, ...]
    kinds: tuple[type, ...]
    descending: bool = False
    present: bool = False
    """Rows without a value in the first column are left out."""

    def clause(self) -> str:
        """Give it as SQL."""
        way = "DESC" if self.descending else "ASC"
        return "ORDER BY " + ", ".join(f"{column} {way}" for column in self.columns)


def chosen(orders: Mapping[str, Order], name: str) -> Order:
    """Give the order of a name; raise ``InvalidArgument`` if there is none."""
    if name not in tuple(orders):
        raise InvalidArgument(f"order must be one of {', '.join(orders)}, not {name!r}")
    return orders[name]


@dataclass(frozen=True, slots=True)
class Listing:
    """A table, the columns of it that make one item, and the function that makes it."""

    table: str
    columns: str
    make: Callable[..., Any]


class Queries:
    """Asks one database. Any thread may ask; results are plain values."""

    projection: ClassVar[str]
    """The projection whose rows are read."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def wait_for(
        self, appended: Appended | Iterable[Position], timeout_s: float = DEFAULT_WAIT_S
    ) -> None:
        """Wait until answers include what was appended: read your own writes.

        A projector must be running, in this process or another. Raises ``WaitTimeout`` after
        ``timeout_s`` seconds.
        """
        wait_for(self._database, appended, timeout_s, projections=[self.projection])

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
        """Fetch a page, and one row more to know whether another page follows."""
        check_whole("limit", limit, MAX_LIMIT)
        if order.present:
            conditions.add(f"{order.columns[0]} IS NOT NULL")
        owner = fingerprint(listing.table, conditions.where(), conditions.parameters, order)
        if cursor is not None:
            key = read_cursor(cursor, owner, order.kinds)
            conditions.beyond(order.columns, key, descending=order.descending)
        rows = self._rows(
            f"SELECT {', '.join(order.columns)}, {listing.columns} FROM {listing.table} "
            f"{conditions.where()} {order.clause()} LIMIT ?",
            *conditions.parameters,
            limit + 1,
        )
        width = len(order.columns)
        items = [listing.make(*row[width:]) for row in rows[:limit]]
        more = len(rows) > limit
        return Page(items, write_cursor(owner, rows[limit - 1][:width]) if more else None)
