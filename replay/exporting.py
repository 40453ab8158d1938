"""Taking histories out: events in files that ``Importer`` reads."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import BinaryIO

from eventstore import InvalidArgument, RecordedEvent, SyncEventStore
from replay.transfer.formats import check_format
from replay.transfer.writing import writing

_TELL_EVERY = 1_000

OnProgress = Callable[[int], None]
"""Is told, now and then, how many events were read so far."""


def export_events(
    store: SyncEventStore,
    sink: BinaryIO,
    *,
    run_id: str | None = None,
    workflow_id: str | None = None,
    format: str = "jsonl",  # noqa: A002 - the setting's name
    on_progress: OnProgress | None = None,
) -> int:
    """Write events to ``sink``, and give how many: all, or those of one run.

    ``format`` is ``jsonl``, ``csv``, ``cloudevents`` or ``parquet``; see ``transfer.formats``.

    With ``workflow_id``, whole runs with any event of that workflow; the log is then read twice.
    The order is that of recording. Imported into an empty namespace they give the same
    histories; imported where they came from, they change nothing. Raises ``RunNotFound``,
    ``OSError``, and what reading raises.
    """
    if run_id is not None and workflow_id is not None:
        raise InvalidArgument("give run_id or workflow_id, not both")
    written = 0
    with writing(sink, check_format(format)) as writer:
        for event in _chosen(store, run_id, workflow_id, on_progress):
            writer.write(event)
            written += 1
    return written


def _chosen(
    store: SyncEventStore,
    run_id: str | None,
    workflow_id: str | None,
    on_progress: OnProgress | None,
) -> Iterator[RecordedEvent]:
    if run_id is not None:
        return store.read_run(run_id)
    everything = _counted(store.read_all(), on_progress)
    if workflow_id is None:
        return everything
    # A run's own events need not name its workflow, and a run that lacks some can't be imported.
    runs = {event.run_id for event in store.read_all(workflow_id=workflow_id)}
    return (event for event in everything if event.run_id in runs)


def _counted(
    events: Iterable[RecordedEvent], on_progress: OnProgress | None
) -> Iterator[RecordedEvent]:
    for number, event in enumerate(events, start=1):
        if on_progress and number % _TELL_EVERY == 0:
            on_progress(number)
        yield event
