"""What is kept of an event that a projection could not take."""

from __future__ import annotations

import traceback
from dataclasses import dataclass

import orjson

from eventstore.errors import ProjectionFailed
from eventstore.events import Position, RecordedEvent
from projections.database import Transaction

MAX_MESSAGE_CHARACTERS = 2_000
MAX_TRACEBACK_CHARACTERS = 20_000

_DEAD = """
INSERT OR REPLACE INTO dead_events (projection, run_id, version, type, event_id, position,
                                    failed_ms, error, message, traceback, data, meta)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""


@dataclass(frozen=True, slots=True)
class Failure:
    """Which event a projection could not take, and why: ``error`` is the exception's class.

    ``message`` and ``traceback`` are cut to 2,000 and 20,000 characters.
    """

    run_id: str
    version: int
    type: str
    event_id: str
    position: str
    error: str
    message: str
    traceback: str

    @classmethod
    def of(cls, event: RecordedEvent, error: Exception) -> Failure:
        """Make it from the exception that ``apply`` raised."""
        trace = "".join(traceback.format_exception(error))
        return cls(
            event.run_id,
            event.version,
            event.type,
            event.id,
            str(event.position),
            type(error).__name__,
            str(error)[:MAX_MESSAGE_CHARACTERS],
            trace[-MAX_TRACEBACK_CHARACTERS:],
        )

    @classmethod
    def parse(cls, text: str) -> Failure:
        """Read it as the database keeps it."""
        return cls(**orjson.loads(text))

    @property
    def cause(self) -> str:
        """Say what went wrong in one line."""
        return f"{self.error}: {self.message}" if self.message else self.error

    def raised_by(self, projection: str, event: RecordedEvent | None = None) -> ProjectionFailed:
        """Make the error that tells of it."""
        return ProjectionFailed(
            f"projection {projection!r} could not take {self.type} at version {self.version} of "
            f"run {self.run_id!r} ({self.cause}); it stands before that event while the others "
            "go on; mend it, then resume it",
            projection=projection,
            event=event,
            position=Position.parse(self.position),
        )


def bury(
    tx: Transaction, projection: str, event: RecordedEvent, failure: Failure, failed_ms: int
) -> None:
    """Keep an event that is skipped, with what went wrong."""
    row = (
        projection,
        failure.run_id,
        failure.version,
        failure.type,
        failure.event_id,
        failure.position,
        failed_ms,
        failure.error,
        failure.message,
        failure.traceback,
        orjson.dumps(event.data).decode(),
        orjson.dumps(event.meta).decode(),
    )
    tx.execute(_DEAD, row)
