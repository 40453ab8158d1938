"""A server's clock that a test drives: it stands still until it is set."""

from __future__ import annotations

import mmap
from datetime import datetime
from pathlib import Path

from eventstore.clock import to_ms


class DrivenClock:
    """The clock of servers that are launched with the shim ``drivenclock`` and ``environment``."""

    def __init__(self, path: Path, at: datetime) -> None:
        path.write_bytes(bytes(8))
        self.environment = {"CLOCK_FILE": str(path)}
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), 8)
        self._us = memoryview(self._map).cast("q")  # written in one piece, unlike by struct
        self.set_ms(to_ms(at))

    def set_ms(self, at_ms: int) -> None:
        """Let it be that time, in ms since 1970; it may not go back."""
        assert at_ms * 1_000 >= self._us[0], "the clock would go back"
        self._us[0] = at_ms * 1_000
