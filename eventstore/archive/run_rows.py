"""What an archive keeps of each run beside its events, folded from them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import orjson

from eventstore.archive.chain import first_link
from eventstore.events import DELETED, ENDS
from eventstore.sqlite import Transaction

_COLUMNS = "id, run_id, version, chain, state, workflow_id, is_expired"
_LOAD = f"SELECT {_COLUMNS} FROM runs WHERE run_id IN (SELECT value FROM json_each(?))"
_WRITE = f"""
INSERT INTO runs ({_COLUMNS}, is_dropped) VALUES (?, ?, ?, ?, ?, ?, ?, 0)
ON CONFLICT (id) DO UPDATE SET version = excluded.version, chain = excluded.chain,
    state = excluded.state, workflow_id = excluded.workflow_id,
    is_expired = excluded.is_expired, is_dropped = 0
"""
_OF_RUN = b'"type":"run.'
"""Part of every event that says how a run stands, and of hardly any other."""
_WAITS_AGAIN = frozenset({"run.paused", "run.restored", "run.resumed"})


@dataclass(slots=True)
class RunRow:
    """A row of ``runs``."""

    id: int
    run_id: str
    version: int
    chain: bytes
    state: str
    workflow_id: str | None
    is_expired: bool

    @classmethod
    def new(cls, number: int, run_id: str) -> RunRow:
        """Make the row of a run that nothing is archived of yet."""
        return cls(number, run_id, 0, first_link(run_id), "open", None, is_expired=False)

    @property
    def is_deleted(self) -> bool:
        """Whether the run was deleted; then that is its last event."""
        return self.state == "deleted"

    def fold(self, encoded: bytes, inherited: str | None) -> None:
        """Take in what an event says of its run."""
        if self.workflow_id is None:
            self.workflow_id = inherited
        if self.workflow_id is not None and _OF_RUN not in encoded:
            return
        event = orjson.loads(encoded)
        kind = event["type"]
        if self.workflow_id is None:
            self.workflow_id = event.get("workflow_id")
        if kind in ENDS:
            self.state = "closed"
        elif kind == DELETED:
            self.state = "deleted"
        elif kind == "run.window_expired":
            self.is_expired = True
        elif kind in _WAITS_AGAIN:
            self.is_expired = False


def load_runs(tx: Transaction, run_ids: Iterable[str]) -> Iterator[RunRow]:
    """Give the rows of those of these runs that are archived."""
    names = orjson.dumps(list(run_ids)).decode()
    for row in tx.execute(_LOAD, (names,)):
        yield RunRow(*row)


def write_runs(tx: Transaction, runs: Iterable[RunRow]) -> None:
    """Write rows, new or not; their run streams hold something again."""
    tx.executemany(_WRITE, map(_row, runs))


def _row(run: RunRow) -> tuple[Any, ...]:
    return (
        run.id,
        run.run_id,
        run.version,
        run.chain,
        run.state,
        run.workflow_id,
        run.is_expired,
    )
