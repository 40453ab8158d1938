"""Has a server write its files anew from what it holds now."""

from __future__ import annotations

import time
from collections.abc import Iterator

from eventstore import SyncEventStore
from eventstore.clock import monotonic
from eventstore.commands import Command
from eventstore.errors import ServerRefused
from eventstore.plan import single

PATIENCE_S = 600
POLL_S = 0.05
_BUSY = ("aof_rewrite_in_progress", "aof_rewrite_scheduled", "rdb_bgsave_in_progress")


def rewrite_server_files(store: SyncEventStore, patience_s: float = PATIENCE_S) -> Iterator[str]:
    """Rewrite append-only file and snapshot, where there are any; tells what could not be done.

    Waits ``patience_s`` at most for each.
    """
    facts = _persistence(store)
    work = []
    if facts.get("aof_enabled") == "1":
        work.append(("BGREWRITEAOF", "aof_last_bgrewrite_status", "append-only file"))
    if _keeps_snapshots(store):
        work.append(("BGSAVE", "rdb_last_bgsave_status", "snapshot"))
    for command, status, what in work:
        try:
            is_idle = _is_idle_by(store, patience_s)
            if is_idle:
                store.perform(single(Command((command,), bool)))
                is_idle = _is_idle_by(store, patience_s)
        except ServerRefused as refusal:
            yield f"the server's {what} was not written anew, let its operator do that: {refusal}"
            continue
        if not is_idle or _persistence(store).get(status) != "ok":
            yield f"the server did not write its {what} anew: see its log, and try again"


def _keeps_snapshots(store: SyncEventStore) -> bool:
    """Say whether the server makes snapshots; one that does not tell may."""
    try:
        answer = store.perform(single(Command(("CONFIG", "GET", "save"), list)))
    except ServerRefused:
        return True
    return bool(answer[1:] and answer[1])


def _is_idle_by(store: SyncEventStore, patience_s: float) -> bool:
    """Wait until the server writes no file; False if that takes too long."""
    deadline = monotonic() + patience_s
    while any(_persistence(store).get(name) == "1" for name in _BUSY):
        if monotonic() > deadline:
            return False
        time.sleep(POLL_S)
    return True


def _persistence(store: SyncEventStore) -> dict[str, str]:
    def decode(reply: bytes) -> dict[str, str]:
        lines = reply.decode(errors="replace").splitlines()
        return dict(line.split(":", 1) for line in lines if ":" in line)

    return store.perform(single(Command(("INFO", "persistence"), decode)))
