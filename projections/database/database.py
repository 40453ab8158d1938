"""The SQLite file of the read side: one writer, many readers."""

from __future__ import annotations

import os
from pathlib import Path

from eventstore.errors import InvalidArgument
from eventstore.sqlite import Database, Schema
from eventstore.sqlite.database import DEFAULT_BUSY_TIMEOUT_MS, DEFAULT_MAX_READERS
from projections.database.copies import keep_copy

SCHEMA = Schema(
    application_id=0x52554E53,  # the bytes spell RUNS
    package="projections",
    kind="database",
    is_kept=False,  # position and rows commit together: a power cut loses both, both come again
    when_missing="run the projector first",
    when_older="run the projector once ('runstore project run') to bring it up to date",
    when_damaged="everything in it comes from the log: 'runstore project rebuild --damaged' sets "
    "it aside and makes it anew, as does deleting it and projecting again",
    before_migrating=keep_copy,
)


def open_database(
    path: str | os.PathLike[str],
    *,
    read_only: bool = False,
    busy_timeout_ms: int = DEFAULT_BUSY_TIMEOUT_MS,
    max_readers: int = DEFAULT_MAX_READERS,
) -> Database:
    """Open the database of projections at ``path``; a new one is made unless ``read_only``.

    ``busy_timeout_ms`` bounds every wait for another process or for a free reader. Opened
    ``read_only`` it can be queried while nothing else runs, also from a folder that may not be
    written. Before the schema of an older one is changed, a copy of it is kept; see ``keep_copy``.
    Raises ``StoreMismatch`` for a file that is no database, one of another application, a damaged
    one, or one with a newer schema than this code; ``ServerRefused`` where folder, disk or rights
    do not allow it.
    """
    if str(path) == ":memory:":
        raise InvalidArgument("the database must be a file: its readers are other connections")
    if busy_timeout_ms < 1 or max_readers < 1:
        raise InvalidArgument("busy_timeout_ms and max_readers must be 1 or more")
    return Database(
        Path(path).absolute(),
        SCHEMA,
        read_only=read_only,
        busy_timeout_ms=busy_timeout_ms,
        max_readers=max_readers,
    )
