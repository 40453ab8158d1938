"""Compares tables of live rows with the same tables made anew, row by row and value by value."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from projections.database import Transaction
from projections.objects import quoted

_INFO = "SELECT name, pk FROM pragma_table_info(?, ?) ORDER BY cid"


@dataclass(frozen=True, slots=True)
class Difference:
    """Where live rows are not what the events make of them.

    ``key`` names the row by its primary key. ``column`` is None where the row stands on one side
    only: ``live`` or ``rebuilt`` is then the whole row, the other None.
    """

    table: str
    key: dict[str, Any]
    column: str | None
    live: Any
    rebuilt: Any


@dataclass(frozen=True, slots=True)
class Shape:
    """The columns of a table, and those of its primary key."""

    columns: tuple[str, ...]
    key: tuple[str, ...]

    @classmethod
    def of(cls, tx: Transaction, table: str, schema: str = "main") -> Shape:
        """Read it; a table that is not there has no columns."""
        rows = tx.execute(_INFO, (table, schema))
        key = sorted((pk, name) for name, pk in rows if pk)
        return cls(tuple(name for name, _ in rows), tuple(name for _, name in key))

    def named(self, row: Sequence[Any]) -> dict[str, Any]:
        """Give a row with the names of its columns."""
        return dict(zip(self.columns, row, strict=True))

    def key_of(self, row: Sequence[Any]) -> dict[str, Any]:
        """Give the part of a row that names it: all of it, where there is no primary key."""
        named = self.named(row)
        return {name: named[name] for name in self.key or self.columns}

    def differences(
        self, table: str, live: Sequence[Any] | None, rebuilt: Sequence[Any] | None
    ) -> Iterator[Difference]:
        """Compare two rows of one key, either of which may be missing."""
        if live is None or rebuilt is None:
            there: Sequence[Any] = live or rebuilt or ()
            yield Difference(
                table,
                self.key_of(there),
                None,
                live and self.named(live),
                rebuilt and self.named(rebuilt),
            )
            return
        for column, one, other in zip(self.columns, live, rebuilt, strict=True):
            if one != other or type(one) is not type(other):
                yield Difference(table, self.key_of(live), column, one, other)


def attached_differences(tx: Transaction, table: str) -> Iterator[Difference]:
    """Compare a table of the live database with that of the one attached as ``aside``."""
    shape = Shape.of(tx, table, "aside")
    if Shape.of(tx, table) != shape:
        yield Difference(table, {}, None, "other columns than the code has", None)
        return
    if not shape.key:
        yield from _keyless(tx, table, shape)
        return
    for live, rebuilt in _keyed(tx, table, shape):
        yield from shape.differences(table, live, rebuilt)


Pair = tuple[Sequence[Any] | None, Sequence[Any] | None]


def _keyed(tx: Transaction, table: str, shape: Shape) -> Iterator[Pair]:
    """Find the rows that differ, by their primary keys; SQLite does the looking."""
    name, width = quoted(table), len(shape.columns)
    same = " AND ".join(f"a.{quoted(key)} IS l.{quoted(key)}" for key in shape.key)
    other = " OR ".join(
        f"l.{column} IS NOT a.{column} COLLATE BINARY OR typeof(l.{column}) <> typeof(a.{column})"
        for column in map(quoted, shape.columns)
    )
    columns = [f"{side}.{quoted(column)}" for side in "la" for column in shape.columns]
    live, rebuilt = f"main.{name} AS l", f"aside.{name} AS a"
    alone = "SELECT {0}.* FROM {1} WHERE NOT EXISTS (SELECT 1 FROM {2} WHERE {3})"
    for row in tx.each(alone.format("l", live, rebuilt, same)):
        yield row, None
    for row in tx.each(alone.format("a", rebuilt, live, same)):
        yield None, row
    for row in tx.each(
        f"SELECT {', '.join(columns)} FROM {live} JOIN {rebuilt} ON {same} WHERE {other}"
    ):
        yield row[:width], row[width:]


def _keyless(tx: Transaction, table: str, shape: Shape) -> Iterator[Difference]:
    """Rows without a key are equal in number, whatever their order."""
    listed = ", ".join(map(quoted, shape.columns))
    counted = f"SELECT {listed}, count(*) FROM {{}}.{quoted(table)} GROUP BY {listed}"
    live, rebuilt = counted.format("main"), counted.format("aside")
    for *row, times in tx.each(f"{live} EXCEPT {rebuilt}"):
        yield Difference(table, shape.named(row), None, f"{times} times", None)
    for *row, times in tx.each(f"{rebuilt} EXCEPT {live}"):
        yield Difference(table, shape.named(row), None, None, f"{times} times")
