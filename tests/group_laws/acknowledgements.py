"""When the server took which acknowledgement, as the server itself tells it (MONITOR)."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from servers import Server

Entry = tuple[str, str]
"""A log's key and an entry id."""

_LINE = re.compile(rb'\+(\d+)\.(\d{6}) \[[^\]]*\] "xack" "([^"]*)" "([^"]*)" (.*)', re.IGNORECASE)
_ID = re.compile(rb'"(\d+-\d+)"')
_LONGEST_LINE = 2**26
_AGAIN_S = 0.01


class Acknowledgements:
    """For each entry the first time that it was acknowledged, in ns since 1970.

    What happens while the server is away or just back may be missed: some are never listed.
    """

    def __init__(self, group: str) -> None:
        self._group = group.encode()
        self.first_ns: dict[Entry, int] = {}

    def take(self, line: bytes) -> None:
        """Read a line of the monitor."""
        if found := _LINE.match(line):
            seconds, micros, log, group, ids = found.groups()
            if group == self._group:
                at_ns = (int(seconds) * 1_000_000 + int(micros)) * 1_000
                for entry_id in _ID.findall(ids):
                    self.first_ns.setdefault((log.decode(), entry_id.decode()), at_ns)


@asynccontextmanager
async def watched(server: Server, group: str) -> AsyncIterator[Acknowledgements]:
    """Watch a group's acknowledgements, also when the server is started anew."""
    found = Acknowledgements(group)
    task = asyncio.create_task(_watch(server, found))
    try:
        yield found
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _watch(server: Server, found: Acknowledgements) -> None:
    while True:
        with suppress(OSError, asyncio.IncompleteReadError):
            await _watch_one(server, found)
        await asyncio.sleep(_AGAIN_S)


async def _watch_one(server: Server, found: Acknowledgements) -> None:
    path = f"{server.folder}/s"
    reader, writer = await asyncio.open_unix_connection(path, limit=_LONGEST_LINE)
    try:
        writer.write(b"MONITOR\r\n")
        while line := await reader.readline():
            found.take(line)
    finally:
        writer.close()
