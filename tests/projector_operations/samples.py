"""Logs and projections of these tests."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any, ClassVar

from histories import EPOCH, interleaved, record
from shipments import Shipments

from eventstore.errors import LogRegressed
from eventstore.events import NewEvent, RecordedEvent
from projections import BUILT_IN, Database, Projection, Transaction

PARTITIONS = 4
ALL = (*BUILT_IN, Shipments)
_BOOKKEEPING = ("meta", "projections", "positions")
_TABLES = """
SELECT name FROM sqlite_master WHERE type = 'table'
    AND name NOT LIKE 'search!_%' ESCAPE '!' AND name NOT LIKE 'sqlite!_%' ESCAPE '!'
    AND name NOT LIKE 'rebuilt: %'
"""


def one_run(number: int) -> list[NewEvent]:
    """Give the events of a run that uses every table."""
    call = {"call_id": "c", "node_id": "n", "kind": "model", "name": "large"}
    pause = {"pause_id": "p", "state": {"n": number}, "window_ms": 5, "on_expiry": "park"}
    events: list[tuple[str, dict[str, Any]]] = [
        ("run.created", {"input": number, "labels": {"team": number % 3}}),
        ("node.started", {"node_id": "n"}),
        ("call.started", call),
        ("call.completed", {"call_id": "c", "output": "x" * 50, "usage": {"tokens": number}}),
        ("message.added", {"thread_id": "t", "role": "user", "content": f"hello {number}"}),
        ("order.shipped", {"customer": f"c{number % 5}", "amount": 1}),
        ("run.paused", pause),
        ("run.resumed", {"pause_id": "p", "cause": "manual"}),
        ("node.completed", {"node_id": "n", "output": number}),
        ("run.completed", {"output": number}),
    ]
    return [
        NewEvent(kind, data, id=f"e{n}", workflow_id=f"w{number % 2}", occurred_at=EPOCH)
        for n, (kind, data) in enumerate(events)
    ]


def a_log(runs: int) -> list[RecordedEvent]:
    """Give the log of so many runs, all of them interleaved."""
    histories = {f"run-{n}": record(f"run-{n}", one_run(n)) for n in range(runs)}
    return interleaved(histories, [*histories] * 10, PARTITIONS)


def regressed(*_: object, **__: object) -> list[RecordedEvent]:
    raise LogRegressed("partition 0", "0:9-9", "0:1-1")


class Picky(Projection):
    """Keeps every event but those whose numbers it cannot stand, at the moment."""

    name: ClassVar[str] = "picky"
    version: ClassVar[int] = 1
    schema: ClassVar[str] = """
        CREATE TABLE picked (run_id TEXT, version INTEGER, PRIMARY KEY (run_id, version));
    """
    run_tables: ClassVar[tuple[str, ...]] = ("picked",)
    hated: ClassVar[set[tuple[str, int]]] = set()

    def apply(self, tx: Transaction, event: RecordedEvent) -> None:
        tx.execute("INSERT INTO picked VALUES (?, ?)", (event.run_id, event.version))
        if (event.run_id, event.version) in self.hated:
            raise ValueError("not this one")


class Skipping(Picky):
    """The same, but it goes on without them."""

    name: ClassVar[str] = "skipping"
    schema: ClassVar[str] = """
        CREATE TABLE skipped (run_id TEXT, version INTEGER, PRIMARY KEY (run_id, version));
    """
    on_failure = "skip"
    run_tables: ClassVar[tuple[str, ...]] = ("skipped",)

    def apply(self, tx: Transaction, event: RecordedEvent) -> None:
        tx.execute("INSERT INTO skipped VALUES (?, ?)", (event.run_id, event.version))
        if (event.run_id, event.version) in self.hated:
            raise ValueError("not this one")


def picked(database: Database, table: str = "picked") -> set[tuple[str, int]]:
    with database.snapshot() as tx:
        return set(tx.execute(f"SELECT run_id, version FROM {table}"))


def rows(path: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Give every row of every projection's tables, as SQLite compares them, byte for byte."""
    with closing(sqlite3.connect(path)) as connection:
        names = [name for (name,) in connection.execute(_TABLES) if name not in _BOOKKEEPING]
        return {
            name: sorted(connection.execute(f"SELECT * FROM {name}").fetchall(), key=repr)
            for name in names
        }


def staged_tables(path: Path) -> list[str]:
    """Name the tables that wait for a switch, or hold what one replaced."""
    with closing(sqlite3.connect(path)) as connection:
        found = connection.execute("SELECT name FROM sqlite_master WHERE name LIKE 'rebuilt: %'")
        return [name for (name,) in found]


def change(path: Path, *statements: str) -> None:
    """Change rows behind the projector's back."""
    with closing(sqlite3.connect(path)) as connection, connection:
        for statement in statements:
            connection.execute(statement)


def places(events: Iterable[RecordedEvent]) -> set[tuple[str, int]]:
    return {(event.run_id, event.version) for event in events}
