"""Removes from Redis what is archived and no longer needed there."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from eventstore.archive.archive import Archive, ColdRun
from eventstore.checks import check_count
from eventstore.commands import Command
from eventstore.errors import LogRegressed, ServerRefused, StoreUnavailable
from eventstore.events import Position
from eventstore.plan import together
from eventstore.retention import commands
from eventstore.retention.audience import Audience, audience
from eventstore.retention.errors_told import forget_errors
from eventstore.retention.report import PartitionTrim, TrimReport
from eventstore.sync_store import SyncEventStore

GROUP_GRACE_MS = 3_600_000
EVERY_MS = 10_000
MAX_TRIM_ENTRIES = 10_000
DROP_RUNS = 500

_log = logging.getLogger("runstore.retention")


class Trimmer:
    """Keeps Redis small: what is archived leaves it, as soon as nobody alive needs it there.

    - An entry leaves the log when it is archived, and every consumer group with a live member,
      and every reader that reports, has passed it. Who was silent for ``group_grace_ms`` blocks
      nothing: it catches up from the archive.
    - Of a deleted run, whatever errors told of it leaves the groups that set it aside, and its
      workflow and idempotency keys leave its head.
    - A run that ended, or whose pause window expired, loses its stream once it is archived. Its
      head stays, so that its id and its idempotency keys stay known.

    Without an archive nothing is trimmed. ``dry_run`` counts and changes nothing. Any number may
    run at the same time; killed anywhere, the next round goes on.

    - ``archive``: its file, the store's own by default.
    - ``max_trim_entries``: the most entries that one call removes; it bounds how long the server
      is busy.
    """

    def __init__(
        self,
        store: SyncEventStore,
        archive: Path | str | None = None,
        *,
        group_grace_ms: int = GROUP_GRACE_MS,
        dry_run: bool = False,
        max_trim_entries: int = MAX_TRIM_ENTRIES,
    ) -> None:
        check_count("group_grace_ms", group_grace_ms)
        check_count("max_trim_entries", max_trim_entries)
        self._store = store
        self._path = store.opening.archive if archive is None else Path(archive)
        self._group_grace_ms = group_grace_ms
        self._dry_run = dry_run
        self._max_trim_entries = max_trim_entries

    def run_once(self) -> TrimReport:
        """Trim what may leave now, and tell what did and what holds the rest back.

        Raises ``LogRegressed`` for a log that lost entries which are archived, and
        ``StoreMismatch`` for the archive of another store: nothing more is trimmed then.
        """
        archive = self._open_archive()
        if archive is None:
            return TrimReport(None, self._dry_run, (), 0, 0)
        with closing(archive):
            (before,) = self._perform(commands.used_memory())
            partitions = self._trim_logs(archive)
            dropped = self._drop_runs(archive)
            (after,) = self._perform(commands.used_memory())
        return TrimReport(self._path, self._dry_run, partitions, dropped, before - after)

    def run(
        self,
        stop: threading.Event | None = None,
        every_ms: int = EVERY_MS,
        on_report: Callable[[TrimReport], object] = lambda _: None,
    ) -> None:
        """Trim every so many milliseconds until ``stop`` is set.

        A store that cannot be reached is asked again, as is an archive that cannot be opened
        because its disk is full; all else raises as ``run_once`` does.
        """
        check_count("every_ms", every_ms)
        stop = stop or threading.Event()
        while not stop.is_set():
            try:
                on_report(self.run_once())
            except (StoreUnavailable, ServerRefused) as error:
                _log.warning("the trimmer waits %d ms: %s", every_ms, error)
            stop.wait(every_ms / 1000)

    def _open_archive(self) -> Archive | None:
        """Open the archive to write: what is dropped is noted there."""
        if self._path is None or not self._path.exists():
            return None
        keys = self._store.operations.keys
        return Archive.open(
            self._path,
            identity=self._store.identity,
            namespace=keys.namespace,
            partitions=keys.partitions,
            read_only=self._dry_run,
        )

    def _trim_logs(self, archive: Archive) -> tuple[PartitionTrim, ...]:
        operations = self._store.operations
        reached = archive.reached()
        self._store.perform(operations.check_tails(reached))
        listening = self._store.perform(audience(operations.keys, self._group_grace_ms))
        return tuple(
            self._trim_log(listening, reached.get(partition, Position(partition, 0, 0)))
            for partition in range(operations.keys.partitions)
        )

    def _trim_log(self, listening: Audience, archived: Position) -> PartitionTrim:
        """Trim one partition's log, in calls that the server is through with soon."""
        keys, partition = self._store.operations.keys, archived.partition
        at_once = 0 if self._dry_run else self._max_trim_entries
        passed, entries = listening.passed(archived), 0
        while True:
            trimmed, left = self._perform(
                commands.trim(keys, archived, passed, listening.groups, at_once),
                commands.log_length(keys, partition),
            )
            if trimmed is None:
                raise LogRegressed(f"partition {partition}", f"{archived}, archived", "another log")
            entries += trimmed.entries
            if not trimmed.more:
                break
        left -= entries if self._dry_run else 0
        held_by = listening.holder(trimmed, archived) if left > 1 else None
        return PartitionTrim(partition, entries, left, held_by)

    def _drop_runs(self, archive: Archive) -> int:
        """Drop the streams of runs that are over or wait for long."""
        count, last = 0, ""
        while runs := archive.cold_runs(DROP_RUNS, last):
            last = runs[-1].run_id
            if not self._dry_run:
                self._store.perform(
                    forget_errors(
                        self._store.operations.keys, [r.run_id for r in runs if r.is_deleted]
                    )
                )
            dropped = self._drop(runs)
            count += len(dropped)
            if not self._dry_run:
                archive.forget_cold(dropped)
        return count

    def _drop(self, runs: Sequence[ColdRun]) -> list[ColdRun]:
        keys = self._store.operations.keys
        parts: dict[int, list[ColdRun]] = {}
        for run in runs:
            parts.setdefault(keys.partition_of(run.run_id), []).append(run)
        replies = self._perform(
            *(
                commands.drop(keys, p, [(r.run_id, r.version) for r in part], dry_run=self._dry_run)
                for p, part in parts.items()
            )
        )
        return [
            run
            for part, reply in zip(parts.values(), replies, strict=True)
            for run, is_dropped in zip(part, reply, strict=True)
            if is_dropped
        ]

    def _perform(self, *calls: Command[Any]) -> list[Any]:
        return self._store.perform(together(calls))
