"""Which events hold the words of a question; newest first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from projections.database import Transaction
from projections.queries.conditions import Conditions
from projections.queries.page import Key
from projections.search.feed import Text, can_match, queued
from projections.search.words import holds, matching, parts

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
        shape = {"beyond": ">" if back else "<", "way": "ASC" if back else "DESC"}
        if self._run_id is None and can_match(tx):
            sql = _MATCHED.format(columns=self._columns, also=self._also, **shape)
            return tx.execute(sql, (matching(self._words), start, *self._given, count))
        # One run's words, or no full-text index: read them.
        also = " AND instr(s.text, ?)" * len(self._words)
        held: list[Any] = parts(self._words)
        if self._run_id is not None:
            also += " AND s.run_id = ?"
            held.append(self._run_id)
        sql = _READ.format(columns=self._columns, also=also + self._also, **shape)
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


def waiting(tx: Transaction, words: Sequence[str], run_id: str | None = None) -> list[Text]:
    """Give what is still queued of the events that hold all words, in the order of numbers."""
    return [
        text
        for _, texts in queued(tx)
        for text in texts
        if run_id in (None, text.run_id) and holds(text.words, words)
    ]
