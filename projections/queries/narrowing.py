"""Filters of runs that other tables answer: their labels, and the words of their events.

Where few runs meet such a filter they are looked up; where many do, runs are read in the order that
was asked for, and a page of them is found soon. Which it is, is asked first.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import orjson

from projections.database import Transaction
from projections.queries.conditions import Conditions
from projections.queries.search import newest_hits, waiting
from projections.search.feed import can_match
from projections.search.words import matching, parts

RARE = 1_000
"""Up to so many are few."""
OFTEN = 20
"""More hits than so many among the newest texts are many: a prefix's need not all be gathered."""

_AMONG = "run_id IN (SELECT value FROM json_each(?))"
_LABELLED = "SELECT run_id FROM run_labels WHERE name = ? AND value = ? LIMIT ?"
# The plus keeps SQLite from going through all runs with the label for each run.
_HAS_LABEL = """EXISTS (SELECT 1 FROM run_labels l
    WHERE l.run_id = runs.run_id AND l.name = ? AND +l.value = ?)"""
_MATCHED = "SELECT rowid FROM search_index WHERE search_index MATCH ? LIMIT ?"
_RUNS_OF = """
SELECT DISTINCT run_id FROM search_texts WHERE number IN (SELECT value FROM json_each(?))
"""
_SOME_EVENT = "EXISTS (SELECT 1 FROM search_texts s WHERE s.run_id = runs.run_id{held})"


def by_label(tx: Transaction, conditions: Conditions, name: str, value: str) -> None:
    """Ask for runs with a label of that value, written as it is stored."""
    rows = tx.execute(_LABELLED, (name, value, RARE + 1))
    if len(rows) <= RARE:
        conditions.found(("label", name, value), _AMONG, _json(run_id for (run_id,) in rows))
    else:
        conditions.found(("label", name, value), _HAS_LABEL, name, value)


def by_words(tx: Transaction, conditions: Conditions, words: Sequence[str]) -> None:
    """Ask for runs of which some event holds all words."""
    asked = ("text", tuple(words))
    runs = {text.run_id for text in waiting(tx, words)}
    rare = _rare(tx, words)
    if rare is not None:
        runs.update(run_id for (run_id,) in tx.execute(_RUNS_OF, (_json(rare),)))
        conditions.found(asked, _AMONG, _json(runs))
        return
    clause = _SOME_EVENT.format(held=" AND instr(s.text, ?)" * len(words))
    if runs:
        conditions.found(asked, f"({clause} OR {_AMONG})", *parts(words), _json(runs))
    else:
        conditions.found(asked, clause, *parts(words))


def _rare(tx: Transaction, words: Sequence[str]) -> list[int] | None:
    """Give the numbers of the events that hold all words, if there are few, and an index."""
    if not can_match(tx) or newest_hits(tx, words) > OFTEN:
        return None
    rows = tx.execute(_MATCHED, (matching(words), RARE + 1))
    return [number for (number,) in rows] if len(rows) <= RARE else None


def _json(values: Iterable[Any]) -> str:
    return orjson.dumps(sorted(set(values))).decode()
