"""Which tables and views belong to a projection."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from contextlib import closing

import orjson

from eventstore.sqlite.schema import statements
from projections.projection import Projection

Objects = list[tuple[str, str]]
"""Kinds, ``table`` or ``view``, and names, in the order in which they are made."""

_MADE = """
SELECT type, name FROM sqlite_master
WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND name NOT IN
      (SELECT name FROM pragma_table_list WHERE type = 'shadow')
ORDER BY rowid
"""


def objects_of(projection: Projection) -> Objects:
    """Give what it names as its tables, and what its schema makes."""
    named = [("table", name) for name in projection.tables]
    return list(dict.fromkeys([*named, *_made_by(projection.schema)]))


def tables_of(projection: Projection) -> list[str]:
    """Give the tables that hold a projection's rows."""
    return [name for kind, name in objects_of(projection) if kind == "table"]


def to_json(objects: Iterable[tuple[str, str]]) -> str:
    """Write them as the database keeps them."""
    return orjson.dumps(list(objects)).decode()


def from_json(text: str | None) -> Objects:
    """Read them as the database keeps them; nothing, where older code kept none."""
    return [(kind, name) for kind, name in orjson.loads(text or "[]")]


def quoted(name: str) -> str:
    """Write the name of a table or column into SQL."""
    return '"' + name.replace('"', '""') + '"'


def _made_by(schema: str) -> Objects:
    if not schema.strip():
        return []
    with closing(sqlite3.connect(":memory:")) as scratch:
        for statement in statements(schema):
            scratch.execute(statement)
        return [(kind, name) for kind, name in scratch.execute(_MADE)]
