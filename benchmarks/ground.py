"""Where subjects are measured: the server, a folder, and how much there is to do."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import redis

_numbers = count(1)


@dataclass(frozen=True, slots=True)
class Ground:
    """One server and one folder for files, for all subjects."""

    url: str
    folder: Path
    quick: bool
    data: Path | None = None
    """A file of histories to import; else one is made."""

    def scaled(self, amount: int) -> int:
        """Give how much to do in a turn: all of it, or a tenth when it must be quick."""
        return max(amount // 10, 1) if self.quick else amount

    def client(self) -> redis.Redis:
        """Make a plain client, as floors use it."""
        return redis.Redis.from_url(self.url, protocol=2)

    def new_name(self, what: str) -> str:
        """Give a name that nothing has had yet: for a namespace, a stream, a file."""
        return f"bench-{what}-{next(_numbers)}"

    def connections(self, name: str) -> int:
        """Count the connections of clients that call themselves so."""
        with self.client() as client:
            return sum(one["name"] == name for one in client.client_list())

    def forget(self, *names: str) -> None:
        """Delete whatever was written under these names and namespaces, and wait until it is gone.

        The server frees it in a thread of its own, beside what is measured next.
        """
        with self.client() as client:
            for name in names:
                for pattern in (f"{name}*", f"{{{name}:*"):
                    for keys in _pages(client.scan_iter(pattern, count=1_000)):
                        client.unlink(*keys)
            while client.info("memory")["lazyfree_pending_objects"]:
                time.sleep(0.01)


def _pages(keys: Iterator[bytes], size: int = 1_000) -> Iterator[list[bytes]]:
    page: list[bytes] = []
    for key in keys:
        page.append(key)
        if len(page) == size:
            yield page
            page = []
    if page:
        yield page
