"""Which different values there are: found by leaping along an index, not by reading it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from projections.database import Transaction
from projections.queries.page import Key

_LEAP = """
WITH RECURSIVE leaps (value) AS (
    SELECT {end}({column}) FROM {table} WHERE {where} AND {column} {first} ?
    UNION ALL
    SELECT (SELECT {end}({column}) FROM {table} WHERE {where} AND {column} {beyond} leaps.value)
    FROM leaps WHERE leaps.value IS NOT NULL
)
SELECT value FROM leaps WHERE value IS NOT NULL LIMIT ?
"""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of texts, and an index that begins with ``equal`` columns and then has it."""

    table: str
    name: str
    equal: str = "TRUE"
    """What comes before it in the index, as SQL; each ``?`` takes one of ``given``."""
    given: tuple[Any, ...] = ()


def leap(tx: Transaction, column: Column, key: Key | None, count: int, *, back: bool) -> list[Any]:
    """Give up to ``count`` different values beyond a key, in order or ``back``, as rows."""
    beyond = "<" if back else ">"
    sql = _LEAP.format(
        table=column.table,
        column=column.name,
        where=column.equal,
        end="max" if back else "min",
        beyond=beyond,
        first=beyond if key else ">=",  # from the beginning on, an empty text is a value too
    )
    start = key[0] if key else ""
    return tx.execute(sql, (*column.given, start, *column.given, count))
