"""What a run costs Redis after it is over: bytes of memory, and the time to read it again."""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import orjson

from benchmarks import samples
from benchmarks.ground import Ground
from benchmarks.harness import Contender, Contest
from eventstore import Append, NewEvent, SyncEventStore
from eventstore.archive import Archive, Archiver
from eventstore.retention import Trimmer
from eventstore.retention.trimmer import GROUP_GRACE_MS

RUNS = 100_000
AT_ONCE = 10_000
"""Runs that are written before they are archived and trimmed, as a service would."""
EVENTS = 20
TARGET_BYTES = 250
"""What a run that is over may cost, and one that is parked beyond its pause window."""


def contests(ground: Ground) -> Iterator[Contest]:
    """Measure memory for runs of both kinds, then reading runs that left Redis."""
    found = {
        f"{amount:,} {kind} runs": _told(*_bytes_a_run(ground, kind, amount))
        for kind in ("closed", "parked")
        for amount in (ground.scaled(RUNS),)
    }
    name = ground.new_name("retain")
    path = ground.folder / f"{name}.archive.db"
    with SyncEventStore.open(ground.url, namespace=name, archive=path) as store:
        run_ids = samples.run_ids(ground.scaled(1_000))
        events = [*samples.events(EVENTS - 1), NewEvent("run.completed", {"output": {}})]
        store.append_many(Append(run_id, events) for run_id in run_ids)
        let_go(store, path)
        floor = _Floor(ground.folder / f"{name}.floor.db", run_ids, events)
        yield Contest(
            f"load a run of {EVENTS} events that left Redis",
            "runs",
            [Contender("SELECT + orjson", floor.read)],
            [Contender("blocking, load", lambda: _load(store, run_ids))],
            lambda: found,
        )
        floor.close()
    ground.forget(name)


def _bytes_a_run(ground: Ground, kind: str, amount: int) -> tuple[float, float]:
    """Give the memory of one run while it is hot, and once it was archived and trimmed."""
    name = ground.new_name(kind)
    path = ground.folder / f"{name}.archive.db"
    with SyncEventStore.open(ground.url, namespace=name, archive=path) as store:
        write = _write_closed if kind == "closed" else _write_parked
        write(store, 1)  # keys and scripts that are there once
        let_go(store, path)
        empty = used_bytes(ground)
        write(store, min(AT_ONCE, amount))
        hot = (used_bytes(ground) - empty) / min(AT_ONCE, amount)
        for _ in range(AT_ONCE, amount, AT_ONCE):
            let_go(store, path)
            write(store, AT_ONCE)
        let_go(store, path)
        cold = (used_bytes(ground) - empty) / amount
    ground.forget(name)
    return hot, cold


def _write_closed(store: SyncEventStore, amount: int) -> None:
    events = [
        NewEvent("run.created", {"input": {"order": 4_711}}, workflow_id="invoice-check"),
        *samples.events(4),
        NewEvent("run.completed", {"output": {"paid": True}}, workflow_id="invoice-check"),
    ]
    store.append_many(Append(str(uuid.uuid4()), events) for _ in range(amount))


def _write_parked(store: SyncEventStore, amount: int) -> None:
    """Let runs pause, and then their windows end, with the events that a restorer appends."""
    created = NewEvent("run.created", {"input": {"order": 4_711}}, workflow_id="invoice-check")
    pauses = {str(uuid.uuid4()): str(uuid.uuid4()) for _ in range(amount)}
    store.append_many(
        Append(run_id, [created, *samples.events(4), _paused(pause_id)])
        for run_id, pause_id in pauses.items()
    )
    store.append_many(
        Append(run_id, NewEvent("run.window_expired", {"pause_id": pause_id}))
        for run_id, pause_id in pauses.items()
    )


def _paused(pause_id: str) -> NewEvent:
    state = {"order": 4_711, "checked": samples.ANSWER}
    window = {"window_ms": 0, "on_expiry": "park"}
    return NewEvent(
        "run.paused", {"pause_id": pause_id, "state": state, "resume_at": "approve", **window}
    )


def let_go(store: SyncEventStore, path: Path, group_grace_ms: int = GROUP_GRACE_MS) -> None:
    """Archive everything, and trim what may go."""
    keys = store.operations.keys
    with (
        Archive.open(
            path, identity=store.identity, namespace=keys.namespace, partitions=keys.partitions
        ) as archive,
        Archiver(store, archive) as archiver,
    ):
        archiver.run_to_end()
    Trimmer(store, group_grace_ms=group_grace_ms).run_once()


def used_bytes(ground: Ground) -> int:
    """Give the memory that the server says it uses."""
    with ground.client() as client:
        return int(client.info("memory")["used_memory"])


def _told(hot: float, cold: float) -> str:
    is_met = "met" if cold <= TARGET_BYTES else "missed"
    return f"{cold:,.0f} bytes each, {hot:,.0f} while hot (target {TARGET_BYTES}: {is_met})"


def _load(store: SyncEventStore, run_ids: Sequence[str]) -> int:
    for run_id in run_ids:
        assert len(store.load(run_id)) == EVENTS
    return len(run_ids)


class _Floor:
    """The same bytes in a table of SQLite, with an index and nothing else."""

    def __init__(self, path: Path, run_ids: Sequence[str], events: Sequence[NewEvent]) -> None:
        self._run_ids = run_ids
        self._connection: Any = sqlite3.connect(path)
        self._connection.execute(
            "CREATE TABLE events (run TEXT, version INTEGER, event BLOB, "
            "PRIMARY KEY (run, version)) WITHOUT ROWID"
        )
        self._connection.executemany(
            "INSERT INTO events VALUES (?, ?, ?)",
            (
                (run_id, version, event.encoded)
                for run_id in run_ids
                for version, event in enumerate(events, 1)
            ),
        )
        self._connection.commit()

    def read(self) -> int:
        query = "SELECT event FROM events WHERE run = ? ORDER BY version"
        for run_id in self._run_ids:
            found = [orjson.loads(e) for (e,) in self._connection.execute(query, (run_id,))]
            assert len(found) == EVENTS
        return len(self._run_ids)

    def close(self) -> None:
        self._connection.close()
