"""Which events hold the words of a question; newest first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from projections.database import Transaction
from projections.queries.conditions import Conditions
from projections.queries.page import Key
from projections.search.feed import Text, can_match, queued
from projections.search.words import any_begins, holds, matching, parts

NEWEST = 2_000
"""How many texts are read before the index is asked how words begin: it gathers all hits first."""

_HIGHEST = 2**63 - 1
_JOIN = """
CROSS JOIN timeline t ON t.run_id = s.run_id AND t.version = s.version
"""
_MATCHED = f"""
SELECT s.number, {{columns}}
FROM search_index CROSS JOIN search_texts s ON s.number = search_index.rowid {_JOIN}
WHERE search_index MATCH ? AND search_index.rowid {{beyond}} ? {{also}}
ORDER BY search_index.rowid {{way}} LIMIT ?
"""
_READ = f"""
SELECT s.number, {{columns}} FROM search_texts s {_JOIN}
WHERE s.number {{beyond}} ? {{also}} ORDER BY s.number {{way}} LIMIT ?
"""
_HITS = """
SELECT count(*) FROM search_texts s
WHERE s.number > (SELECT max(number) FROM search_texts) - ? {held}
"""
_ONE = "SELECT {columns} FROM timeline t WHERE t.run_id = ? AND t.version = ? {also}"


class Found:
    """The events that hold all ``words``, and meet further conditions on ``timeline t``.

    What the search was not fed yet is read from the queue; so nothing is missing, only slower.
    """

    def __init__(
        self, columns: str, words: Sequence[str], conditions: Conditions, run_id: str | None
    ) -> None:
        self._columns = columns
        self._words = words
        self._also = "".join(f" AND {clause}" for clause in conditions.clauses)
        self._given = conditions.parameters
        self._run_id = run_id

    def rows(self, tx: Transaction, key: Key | None, count: int, *, back: bool) -> list[Any]:
        """Give up to ``count`` rows beyond a number, older ones or ``back``; the number is first.

        Queued events come later than all others.
        """
        start = int(key[0]) if key else _HIGHEST
        if back:
            rows = self._indexed(tx, start, count, back=True)
            return rows + self._queued(tx, start, count - len(rows), back=True)
        rows = self._queued(tx, start, count, back=False)
        return rows + self._indexed(tx, start, count - len(rows), back=False)

    def _indexed(self, tx: Transaction, start: int, count: int, *, back: bool) -> list[Any]:
        if count < 1:
            return []
        if self._run_id is not None or not can_match(tx):
            return self._read(tx, start, None, count, back=back)
        rows: list[Any] = []
        if any_begins(self._words):
            end = _window(tx, start, back=back)
            rows = self._read(tx, start, end, count, back=back)
            start, count = end, count - len(rows)
        return rows + self._matched(tx, start, count, back=back)

    def _matched(self, tx: Transaction, start: int, count: int, *, back: bool) -> list[Any]:
        """Ask the full-text index."""
        if count < 1:
            return []
        sql = _MATCHED.format(columns=self._columns, also=self._also, **_shape(back=back))
        return tx.execute(sql, (matching(self._words), start, *self._given, count))

    def _read(
        self, tx: Transaction, start: int, end: int | None, count: int, *, back: bool
    ) -> list[Any]:
        """Read the texts one by one, up to and with number ``end``."""
        also, held = " AND instr(s.text, ?)" * len(self._words), list[Any](parts(self._words))
        if self._run_id is not None:
            also, held = also + " AND s.run_id = ?", [*held, self._run_id]
        if end is not None:
            also, held = f"{also} AND s.number {'<=' if back else '>='} ?", [*held, end]
        sql = _READ.format(columns=self._columns, also=also + self._also, **_shape(back=back))
        return tx.execute(sql, (start, *held, *self._given, count))

    def _queued(self, tx: Transaction, start: int, count: int, *, back: bool) -> list[Any]:
        sql = _ONE.format(columns=self._columns, also=self._also)
        texts = waiting(tx, self._words, self._run_id)
        rows: list[Any] = []
        for text in texts if back else reversed(texts):
            if len(rows) >= count:
                break
            if text.number > start if back else text.number < start:
                found = tx.execute(sql, (text.run_id, text.version, *self._given))
                rows += [(text.number, *row) for row in found]
        return rows


def newest_hits(tx: Transaction, words: Sequence[str]) -> int:
    """Count which of the newest texts hold all words, if some of these say how words begin."""
    if not any_begins(words):
        return 0
    held = " AND instr(s.text, ?)" * len(words)
    return int(tx.execute(_HITS.format(held=held), (NEWEST, *parts(words)))[0][0])


def _window(tx: Transaction, start: int, *, back: bool) -> int:
    """Give the number up to which texts are read, from where a page starts."""
    if back:
        return min(start + NEWEST, _HIGHEST)
    highest = int(tx.execute("SELECT coalesce(max(number), 0) FROM search_texts")[0][0])
    return max(0, min(start, highest + 1) - NEWEST)


def _shape(*, back: bool) -> dict[str, str]:
    return {"beyond": ">" if back else "<", "way": "ASC" if back else "DESC"}


def waiting(tx: Transaction, words: Sequence[str], run_id: str | None = None) -> list[Text]:
    """Give what is still queued of the events that hold all words, in the order of numbers."""
    return [
        text
        for _, texts in queued(tx)
        for text in texts
        if run_id in (None, text.run_id) and holds(text.words, words)
    ]
