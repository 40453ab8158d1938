"""Followers of the log that are no groups, and how far each has come: retention waits for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import orjson

from eventstore.commands import Command
from eventstore.events import Position
from eventstore.keys import Keys


@dataclass(frozen=True, slots=True)
class Reader:
    """A follower of the log: what it last reported, and when."""

    name: str
    positions: dict[int, Position]
    at_ms: int

    def reached(self, partition: int) -> Position:
        """Give what it has passed of a partition; ``n`` is 0 for nothing."""
        return self.positions.get(partition, Position(partition, 0, 0))


def report_reader(keys: Keys, name: str, positions: Mapping[int, Position]) -> Command[int]:
    """Note how far a reader has come; gives the server's time in ms since 1970."""
    reached = {str(partition): at.entry_id for partition, at in positions.items()}
    words = (1, keys.readers, name, orjson.dumps(reached))
    return Command(words, int, script="report_reader")


def known_readers(keys: Keys) -> Command[list[Reader]]:
    """Read who reported as a reader."""

    def decode(reply: list[bytes]) -> list[Reader]:
        return [
            _reader(name.decode(errors="replace"), report)
            for name, report in zip(reply[::2], reply[1::2], strict=True)
        ]

    return Command(("HGETALL", keys.readers), decode)


def _reader(name: str, encoded: bytes) -> Reader:
    """Read a report; of what is none, only the name: nobody was heard of there."""
    try:
        report = orjson.loads(encoded)
        positions = {
            int(partition): Position.at_entry(int(partition), entry_id)
            for partition, entry_id in report["positions"].items()
        }
        return Reader(name, positions, int(report["at_ms"]))
    except (ValueError, KeyError, TypeError, AttributeError):
        return Reader(name, {}, 0)
