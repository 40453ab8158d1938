"""Whether the log still holds what was read of it once: for ``doctor``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from eventstore import LogRegressed, Position
from eventstore.decoding import Decoder
from eventstore.keys import Keys
from eventstore.log_pages import LogPages
from eventstore.transport.lines import BlockingLine
from replay.cli.server_check import perform


@dataclass(frozen=True, slots=True)
class SeenLog:
    """The log of a store, and where each partition of it ends; its line must be open."""

    line: BlockingLine
    keys: Keys
    tails: Mapping[int, Position]

    def lost(self, positions: Iterable[Position]) -> list[str]:
        """Say of each position that was reached once, and is gone though nobody trimmed it."""
        found = []
        for at in sorted(set(positions)):
            if at.partition not in self.tails:
                continue  # of a store with other partitions, which is told elsewhere
            try:
                perform(self.line, LogPages(self.keys, Decoder()).check_there({at.partition: at}))
            except LogRegressed as error:
                found.append(str(error))
        return found
