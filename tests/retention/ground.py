"""A store with its archive, and beside it all that was ever written: the twin that nobody trims."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any, Self

from samples import noted
from servers import AnyServer

from eventstore import Append, AppendResult, NewEvent, RecordedEvent, Settings, SyncEventStore
from eventstore.archive import Archive, Archiver
from eventstore.retention import Trimmer, TrimReport

PAGE = Settings(page_events=3)
"""Pages so small that every history has seams within and between them."""


def expired(pause_id: str = "p1") -> NewEvent:
    """Make the event that says: a pause window is over."""
    return NewEvent("run.window_expired", {"pause_id": pause_id})


class Ground:
    """A blocking store of two partitions, its archive and its trimmer. Use it ``with``."""

    def __init__(
        self, server: AnyServer, namespace: str, folder: Path, *, partitions: int = 2
    ) -> None:
        self.server = server
        self.namespace = namespace
        self.path = folder / f"{namespace}.archive.db"
        self.partitions = partitions
        self.runs: dict[str, list[RecordedEvent]] = defaultdict(list)
        self.log: dict[int, list[RecordedEvent]] = {p: [] for p in range(partitions)}
        self.store = self.open()

    def open(self, **options: Any) -> SyncEventStore:
        """Open the store once more."""
        given = {"namespace": self.namespace, "archive": self.path, "settings": PAGE}
        return SyncEventStore.open(
            self.server.url, **{"partitions": self.partitions, **given, **options}
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.store.close()

    def append(self, run: str, *events: NewEvent, **named: Any) -> Any:
        """Append, and keep what was written; give the result, or the error."""
        given = events or (noted(),)
        (outcome,) = self.store.append_many([Append(run, given, **named)])
        if isinstance(outcome, AppendResult) and not outcome.deduplicated:
            self._keep(outcome)
        return outcome

    def _keep(self, result: AppendResult) -> None:
        keys, decoder = self.store.operations.keys, self.store.operations.decoder
        for at in result.positions:
            raw = self.server.admin.xrange(keys.log(at.partition), at.entry_id, at.entry_id)
            ((entry_id, fields),) = raw
            event = decoder.log_entry(
                at.partition, entry_id, [part for field in fields.items() for part in field]
            )
            self.log[at.partition].append(event)
            self.runs[result.run_id].append(event)

    @property
    def all(self) -> list[RecordedEvent]:
        """Everything, in the order of ``read_all``."""
        events = (event for log in self.log.values() for event in log)
        return sorted(events, key=lambda event: (event.position.ms, event.position))

    def archive(self, limit: int | None = None) -> None:
        """Archive what the log holds: all of it, or one batch of so many events."""
        with (
            self.opened_archive() as archive,
            Archiver(self.store, archive, batch_events=limit or 1_000) as archiver,
        ):
            if limit is None:
                archiver.run_to_end()
            else:
                archiver.run_once()

    def trim(self, **options: Any) -> TrimReport:
        """Let the trimmer have its turn."""
        return Trimmer(self.store, **options).run_once()

    def archive_and_trim(self) -> TrimReport:
        """Archive all and trim what may go."""
        self.archive()
        return self.trim()

    def length(self, partition: int) -> int:
        """Count the entries of a partition's log in Redis."""
        return int(self.server.admin.xlen(self.store.operations.keys.log(partition)))

    def holds_stream(self, run: str) -> bool:
        """Say whether Redis holds a run's stream."""
        return bool(self.server.admin.exists(self.store.operations.keys.run(run)))

    def opened_archive(self, **options: Any) -> Archive:
        """Open the archive's file."""
        return Archive.open(
            self.path,
            identity=self.store.identity,
            namespace=self.namespace,
            partitions=self.partitions,
            **options,
        )
