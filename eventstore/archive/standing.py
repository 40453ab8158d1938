"""How archiving stands, kept in the archive itself: seen also while nothing runs."""

from __future__ import annotations

from dataclasses import dataclass

from eventstore.errors import CorruptEvent, HistoryGap, LogRegressed, RunStoreError
from eventstore.sqlite import Database, Transaction

GOOD = "archiving"
_NAMES: dict[type[RunStoreError], str] = {
    LogRegressed: "regressed",
    HistoryGap: "gap",
    CorruptEvent: "corrupt",
}
STOPS = tuple(_NAMES)
"""What ends archiving until somebody has seen to it; nothing is skipped or overwritten."""

_READ = "SELECT name, value FROM facts WHERE name LIKE 'state%'"
_WRITE = "INSERT OR REPLACE INTO facts (name, value) VALUES (?, ?)"


@dataclass(frozen=True, slots=True)
class Standing:
    """``state`` is ``archiving``, or ``regressed``, ``gap`` or ``corrupt``: then it stopped."""

    state: str = GOOD
    message: str = ""
    since_ms: int | None = None

    @classmethod
    def of(cls, error: RunStoreError, now_ms: int) -> Standing:
        """Say what an error makes of it."""
        state = next(name for kind, name in _NAMES.items() if isinstance(error, kind))
        return cls(state, str(error), now_ms)

    @classmethod
    def read(cls, tx: Transaction) -> Standing:
        """Read it from an archive."""
        facts = dict(tx.execute(_READ))
        since = str(facts.get("state_since_ms"))
        return cls(
            str(facts.get("state", GOOD)),
            str(facts.get("state_message", "")),
            int(since) if since.isdecimal() else None,
        )

    def write(self, database: Database) -> None:
        """Keep it, unless it stands there already."""
        with database.snapshot() as tx:
            known = Standing.read(tx)
        if (known.state, known.message) == (self.state, self.message):
            return
        facts = (("state", self.state), ("state_message", self.message))
        with database.transaction() as tx:
            tx.executemany(_WRITE, (*facts, ("state_since_ms", str(self.since_ms or 0))))
