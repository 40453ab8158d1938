"""Trims, and kills itself with SIGKILL at one of the calls that it makes.

Run with a URL, a namespace, the archive's path and the number of the call: its first half are the
moments before the call, its second those right after. Ends well if there are fewer calls.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from functools import wraps
from typing import Any

from eventstore import Settings, SyncEventStore
from eventstore.archive import Archive
from eventstore.retention import Trimmer
from eventstore.transport.lines import BlockingLine


class Killer:
    """Counts calls to Redis and to the archive, and kills the process at one of them."""

    def __init__(self, kill_at: int) -> None:
        self._left = kill_at

    def hook(self, owner: type, name: str) -> None:
        """Count the calls of a method: the moment before, and the moment after."""
        method: Callable[..., Any] = getattr(owner, name)

        @wraps(method)
        def counted(*arguments: Any, **named: Any) -> Any:
            self._count()
            result = method(*arguments, **named)
            self._count()
            return result

        setattr(owner, name, counted)

    def _count(self) -> None:
        self._left -= 1
        if not self._left:
            os.kill(os.getpid(), signal.SIGKILL)


def main(url: str, namespace: str, path: str, kill_at: int) -> None:
    """Trim once, in small calls."""
    killer = Killer(kill_at)
    with SyncEventStore.open(
        url, namespace=namespace, archive=path, partitions=None, settings=Settings(page_events=3)
    ) as store:
        killer.hook(BlockingLine, "exchange")
        for name in ("cold_runs", "forget_cold", "reached"):
            killer.hook(Archive, name)
        Trimmer(store, max_trim_entries=100).run_once()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))
