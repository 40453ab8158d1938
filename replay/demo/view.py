"""What the read side shows of a demo's runs, while they move."""

from __future__ import annotations

from dataclasses import dataclass

from projections import Database, Run, Runs, Span, Timeline, TimelineEntry, spans_of
from replay.demo.orders import MAX_ORDERS, WORKFLOW

DEMO = "demo"
"""The label that all runs of one demo have."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One run as the projections show it."""

    run: Run
    entries: list[TimelineEntry]
    spans: list[Span]

    @property
    def last(self) -> TimelineEntry:
        """The latest event."""
        return self.entries[-1]

    @property
    def open_pause(self) -> Span | None:
        """The pause that holds the run, if any."""
        return next((s for s in self.spans if s.kind == "pause" and s.end is None), None)

    def has(self, kind: str) -> bool:
        """Say whether the run has an event of a type."""
        return any(entry.type == kind for entry in self.entries)


class View:
    """Follows the runs with one label; reads again only those that have changed."""

    def __init__(self, database: Database, demo: str) -> None:
        self.demo = demo
        self.seen: dict[str, Seen] = {}
        self._runs = Runs(database)
        self._timeline = Timeline(database)

    def refresh(self) -> list[TimelineEntry]:
        """Read what is new, and give the new events in the order they occurred."""
        page = self._runs.list_runs(
            workflow_id=WORKFLOW, labels={DEMO: self.demo}, order="created", limit=MAX_ORDERS
        )
        fresh: list[TimelineEntry] = []
        for run in page.items:
            known = self.seen.get(run.run_id)
            if known is None or known.run.version != run.version:
                entries = self._timeline.timeline(run_id=run.run_id, limit=1_000).items
                fresh += entries[known.last.version if known else 0 :]
                self.seen[run.run_id] = Seen(run, entries, spans_of(entries))
        return sorted(fresh, key=lambda entry: entry.occurred_at)
