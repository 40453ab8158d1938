"""Tells the store how far a projector has come, so that retention waits for it."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from zlib import crc32

from eventstore.clock import Monotonic, monotonic
from eventstore.errors import RunStoreError
from eventstore.events import Position

EVERY_S = 5.0

_log = logging.getLogger(__name__)


class Reporter:
    """Reports at most every few seconds. A report that fails hinders nobody: it is only early.

    Who does not report, or not lately, catches up from the archive.
    """

    def __init__(
        self, store: Any, database: Path, *, every_s: float = EVERY_S, now: Monotonic = monotonic
    ) -> None:
        # A log need not know of retention.
        self._report: Callable[[str, Mapping[int, Position]], object] | None
        self._report = getattr(store, "report_reader", None)
        self._name = _name(database)
        self._every_s = every_s
        self._now = now
        self._next_s = now()

    def tell(self, reached: Mapping[int, Position]) -> None:
        """Report where the projector stands, unless that was done just now."""
        if not reached or self._report is None or self._now() < self._next_s:
            return
        self._next_s = self._now() + self._every_s
        try:
            self._report(self._name, reached)
        except RunStoreError as error:
            _log.warning("the projector could not report how far it is: %s", error)


def _name(database: Path) -> str:
    """Name the projector of a database: where it runs, and which file it feeds."""
    path = str(database.absolute())
    return f"projector {socket.gethostname()[:60]} {database.name[:60]} {crc32(path.encode()):08x}"
