"""How filters become SQL: columns come from the code, values are parameters, always."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import MAXYEAR, UTC, datetime
from typing import Any

from eventstore.clock import from_ms, to_ms
from eventstore.errors import InvalidArgument
from projections.queries.page import Key

MAX_VALUES = 100
"""The most values that one filter may list."""

_FIRST = datetime.min.replace(tzinfo=UTC)
_LAST = datetime(MAXYEAR, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC)


class Conditions:
    """The WHERE of one query, filter by filter. A filter that is None is not there."""

    def __init__(self) -> None:
        self.clauses: list[str] = []
        self.parameters: list[Any] = []
        self.asked: list[Any] = []
        """What makes it the same query, on every page."""

    def add(self, clause: str, *parameters: Any) -> None:
        """Add a condition from the code, with its parameters."""
        self.clauses.append(clause)
        self.parameters.extend(parameters)
        self.asked.append((clause, parameters))

    def found(self, asked: Any, clause: str, *parameters: Any) -> None:
        """Add a condition that may look different on each page, for the same thing asked."""
        self.clauses.append(clause)
        self.parameters.extend(parameters)
        self.asked.append(asked)

    def equal(self, column: str, value: str | None) -> None:
        """Ask for one text."""
        if value is not None:
            self.add(f"{column} = ?", check_text(_plain(column), value))

    def among(
        self, column: str, values: str | Iterable[str] | None, known: Collection[str] | None = None
    ) -> None:
        """Ask for one of some texts; ``known`` lists those there are."""
        if values is None:
            return
        wanted = check_texts(_plain(column), values, known)
        if len(wanted) == 1:
            self.add(f"{column} = ?", *wanted)
        else:
            self.add(f"{column} IN ({', '.join('?' * len(wanted))})", *wanted)

    def between(self, column: str, after: datetime | None, before: datetime | None) -> None:
        """Ask for a column of milliseconds from ``after`` on, and up to but without ``before``."""
        if after is not None:
            self.add(f"{column} >= ?", check_moment(after))
        if before is not None:
            self.add(f"{column} < ?", check_moment(before))

    def beyond(self, columns: tuple[str, ...], key: Key, *, descending: bool) -> None:
        """Ask for what comes after ``key`` in the order of ``columns``."""
        marks = ", ".join("?" * len(columns))
        self.add(f"({', '.join(columns)}) {'<' if descending else '>'} ({marks})", *key)

    def where(self) -> str:
        """Give the clause, or nothing where there is no condition."""
        return f"WHERE {' AND '.join(self.clauses)}" if self.clauses else ""


def _plain(column: str) -> str:
    """Give a column's name without its table's."""
    return column.rpartition(".")[2]


def check_text(name: str, value: Any) -> str:
    """Give back a text; raise ``InvalidArgument`` for anything else."""
    try:
        value.encode()
    except (AttributeError, UnicodeEncodeError):
        raise InvalidArgument(f"{name} must be a text, not {value!r}"[:200]) from None
    return str(value)


def check_texts(
    name: str, values: str | Iterable[str], known: Collection[str] | None
) -> tuple[str, ...]:
    """Give one or more texts in a fixed order; raise ``InvalidArgument`` for anything else."""
    try:
        wanted = {values} if isinstance(values, str) else set(values)
    except TypeError:
        raise InvalidArgument(f"{name} must be one or more texts, not {values!r}"[:200]) from None
    if not 1 <= len(wanted) <= MAX_VALUES:
        raise InvalidArgument(f"{name} takes 1 to {MAX_VALUES} values, not {len(wanted)}")
    for value in wanted:
        check_text(name, value)
        if known is not None and value not in known:
            raise InvalidArgument(f"{name} must be one of {', '.join(known)}, not {value!r}"[:300])
    return tuple(sorted(wanted))


def check_moment(moment: datetime) -> int:
    """Give a moment as milliseconds since 1970; raise ``InvalidArgument`` if it has no zone."""
    if not isinstance(moment, datetime) or moment.tzinfo is None:
        raise InvalidArgument(f"a time needs its zone, as datetime.now(UTC) has: {moment!r}")
    return to_ms(moment)


def moment(ms: int) -> datetime:
    """Give stored milliseconds as a datetime in UTC; what no datetime can show, at its limits."""
    try:
        return from_ms(ms)
    except OverflowError:
        return _FIRST if ms < 0 else _LAST


def maybe_moment(ms: int | None) -> datetime | None:
    """Give stored milliseconds as a datetime in UTC, if there are any."""
    return None if ms is None else moment(ms)
