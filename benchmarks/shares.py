"""Whose work it is: the processor time of SQLite's calls, told apart from the rest."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar

T = TypeVar("T")


class Spent:
    """Seconds of processor time that were spent in SQLite."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def inside(self, call: Callable[..., T], *arguments: Any) -> T:
        """Make a call and count its time."""
        start_s = time.thread_time()
        try:
            return call(*arguments)
        finally:
            self.seconds += time.thread_time() - start_s


class _Cursor(sqlite3.Cursor):
    spent: Spent

    def fetchall(self) -> list[Any]:
        return self.spent.inside(super().fetchall)


class _Connection(sqlite3.Connection):
    spent: Spent

    def execute(self, *arguments: Any) -> sqlite3.Cursor:
        cursor = self.cursor(_Cursor)
        cursor.spent = self.spent
        return self.spent.inside(cursor.execute, *arguments)

    def executemany(self, *arguments: Any) -> sqlite3.Cursor:
        return self.spent.inside(super().executemany, *arguments)


@contextmanager
def watching_sqlite() -> Iterator[Spent]:
    """Count what the connections that are made meanwhile spend in SQLite."""
    spent = Spent()
    kind = type("Connection", (_Connection,), {"spent": spent})
    connect = sqlite3.connect
    sqlite3.connect = partial(connect, factory=kind)  # type: ignore[assignment]
    try:
        yield spent
    finally:
        sqlite3.connect = connect
