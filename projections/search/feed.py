"""How the search learns of events: the timeline queues them, and they are taken up in batches.

A full-text index costs more to write than the rows themselves, so projecting does not wait for it.
What is still queued is searched by reading it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import orjson

from projections.database import Database, Transaction
from projections.search.words import words_of

DEFAULT_FEED_EVENTS = 5_000
"""How many events one transaction takes up."""

_RUNS_AN_ENTRY = 200

_MAKE_INDEX = """
CREATE VIRTUAL TABLE search_index USING fts5(
    text, content = 'search_texts', content_rowid = 'number', detail = none, columnsize = 0,
    tokenize = 'ascii')
"""
_HAS_INDEX = "SELECT 1 FROM sqlite_master WHERE name = 'search_index'"
_HAS_FTS5 = "SELECT 1 FROM pragma_module_list WHERE name = 'fts5'"
_QUEUE = "INSERT INTO search_queue (ranges) VALUES (?)"
_QUEUED = "SELECT number, ranges FROM search_queue WHERE number > ? ORDER BY number LIMIT 1"
_EVERYTHING = "SELECT run_id, min(version), max(version) FROM timeline GROUP BY run_id"
_GENERATIONS = """
SELECT (SELECT generation FROM projections WHERE name = 'timeline'),
       (SELECT value FROM meta WHERE name = 'search_generation')
"""
_KEEP_GENERATION = "INSERT OR REPLACE INTO meta (name, value) VALUES ('search_generation', ?)"
_EVENTS = "SELECT version, data FROM timeline WHERE run_id = ? AND version BETWEEN ? AND ?"
_KNOWN = "SELECT version FROM search_texts WHERE run_id = ? AND version BETWEEN ? AND ?"
_WRITE = "INSERT INTO search_texts (number, run_id, version, text) VALUES (?, ?, ?, ?)"
_INDEX = "INSERT INTO search_index (rowid, text) VALUES (?, ?)"
_UNINDEX = """
INSERT INTO search_index (search_index, rowid, text)
SELECT 'delete', number, text FROM search_texts WHERE run_id = ?
"""


class Text(NamedTuple):
    """The words of one event, and its number in the search; later events have higher ones."""

    number: int
    run_id: str
    version: int
    words: str


def enqueue(tx: Transaction, events: Iterable[tuple[str, int]]) -> None:
    """Note run id and version of events that the timeline now has; each run's in order."""
    ranges: dict[str, list[int]] = {}
    for run_id, version in events:
        known = ranges.get(run_id)
        if known is None:
            ranges[run_id] = [version, version]
        else:
            known[1] = version
    if ranges:
        _queue(tx, ([run_id, *versions] for run_id, versions in ranges.items()))


def _queue(tx: Transaction, ranges: Iterable[Sequence[Any]]) -> None:
    tx.execute(_QUEUE, (orjson.dumps(list(ranges)).decode(),))


def feed_search(database: Database, limit: int = DEFAULT_FEED_EVENTS) -> int:
    """Take up some of what is queued, in one transaction; give how many entries that were.

    ``limit`` bounds the events, but for those of the last entry. Any process that may write can
    do this, also while a projector runs; 0 means that all is taken up.
    """
    if not has_backlog(database):
        return 0
    with database.transaction() as tx:
        _begin_anew_if_rebuilt(tx)
        indexed = _make_index(tx)
        done = events = 0
        for number, rows in queued(tx):
            tx.executemany(_WRITE, rows)
            if indexed:
                tx.executemany(_INDEX, [(text.number, text.words) for text in rows])
            tx.execute("DELETE FROM search_queue WHERE number = ?", (number,))
            done, events = done + 1, events + len(rows)
            if events >= limit:
                break
    return done


def has_backlog(database: Database) -> bool:
    """Say whether anything is still queued."""
    with database.snapshot() as tx:
        return bool(tx.execute("SELECT 1 FROM search_queue LIMIT 1") or _rebuilt(tx))


def queued(tx: Transaction) -> Iterator[tuple[int, list[Text]]]:
    """Go through the queue: each entry's number, and its texts with the numbers they will get."""
    following = tx.execute("SELECT coalesce(max(number), 0) FROM search_texts")[0][0]
    seen: set[tuple[str, int]] = set()
    for entry, ranges in _entries(tx):
        texts = []
        for run_id, first, last in ranges:
            for version, words in _new_words(tx, run_id, first, last):
                if (run_id, version) not in seen:
                    seen.add((run_id, version))
                    following += 1
                    texts.append(Text(following, run_id, version, words))
        yield entry, texts


def _entries(tx: Transaction) -> Iterator[tuple[int, list[tuple[str, int, int]]]]:
    if _rebuilt(tx):  # nobody has fed the search since: everything may be new
        yield 0, tx.execute(_EVERYTHING)
        return
    entry = 0
    while found := tx.execute(_QUEUED, (entry,)):
        entry, ranges = found[0]
        yield entry, orjson.loads(ranges)


def _new_words(tx: Transaction, run_id: str, first: int, last: int) -> Iterator[tuple[int, str]]:
    known = {version for (version,) in tx.execute(_KNOWN, (run_id, first, last))}
    for version, data in tx.execute(_EVENTS, (run_id, first, last)):
        words = words_of(orjson.loads(data))
        if words and version not in known:
            yield version, words


def erase_texts(tx: Transaction, run_ids: Iterable[str]) -> None:
    """Forget the words of some runs: their postings too."""
    named = [(run_id,) for run_id in run_ids]
    if can_match(tx):
        tx.executemany(_UNINDEX, named)
        # What was deleted stands in the index until its parts are merged: merge them now.
        tx.execute("INSERT INTO search_index (search_index) VALUES ('optimize')")
    tx.executemany("DELETE FROM search_texts WHERE run_id = ?", named)


def can_match(tx: Transaction) -> bool:
    """Say whether there is a full-text index, and an SQLite that reads it."""
    return bool(tx.execute(_HAS_INDEX) and tx.execute(_HAS_FTS5))


def _rebuilt(tx: Transaction) -> bool:
    """Say whether the timeline was put in place by a rebuild that the search knows nothing of."""
    made_by, known = tx.execute(_GENERATIONS)[0]
    return bool(made_by != known)


def _begin_anew_if_rebuilt(tx: Transaction) -> None:
    """Forget all words, and queue the whole timeline, if it is not the one they are of."""
    if not _rebuilt(tx):
        return
    if can_match(tx):
        tx.execute("DROP TABLE search_index")
    tx.execute("DELETE FROM search_texts")
    tx.execute("DELETE FROM search_queue")
    ranges = tx.execute(_EVERYTHING)
    for start in range(0, len(ranges), _RUNS_AN_ENTRY):
        _queue(tx, ranges[start : start + _RUNS_AN_ENTRY])
    tx.execute(_KEEP_GENERATION, (tx.execute(_GENERATIONS)[0][0],))


def _make_index(tx: Transaction) -> bool:
    """Make sure of the full-text index, where SQLite can have one."""
    if not tx.execute(_HAS_FTS5):
        return False
    if not tx.execute(_HAS_INDEX):
        tx.execute(_MAKE_INDEX)
        tx.execute("INSERT INTO search_index (search_index) VALUES ('rebuild')")
    return True
