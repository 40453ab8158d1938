"""Taking histories out: events in files that ``Importer`` reads."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain

from eventstore import InvalidArgument, RecordedEvent, SyncEventStore
from replay.transfer.formats import check_format, format_of
from replay.transfer.target import Target, opened
from replay.transfer.writing import writing

_TELL_EVERY = 1_000

OnProgress = Callable[[int], None]
"""Is told, now and then, how many events were read so far."""


def export_events(
    store: SyncEventStore,
    target: Target,
    format: str | None = None,  # noqa: A002 - the setting's name
    *,
    run_ids: str | Iterable[str] | None = None,
    workflow_id: str | None = None,
    on_progress: OnProgress | None = None,
) -> int:
    """Write events to a file, and give how many: all, or those of some runs.

    ``target`` is a path, compressed where it ends in ``.gz``, or a file open for writing bytes.
    What a path names appears when it is complete. ``format`` is ``jsonl``, ``csv``,
    ``cloudevents`` or ``parquet``; without it the path's name tells, else it is ``jsonl``.

    With ``workflow_id``, whole runs with any event of that workflow; the log is then read twice.
    The order is that of recording; of ``run_ids``, one run after the other. Imported into an
    empty namespace they give the same histories; imported where they came from, they change
    nothing. Raises ``RunNotFound``, ``InvalidArgument``, ``OSError``, and what reading raises.
    """
    if run_ids is not None and workflow_id is not None:
        raise InvalidArgument("give run_ids or workflow_id, not both")
    kind = format_of(target) if format is None else check_format(format)
    written = 0
    with opened(target) as sink, writing(sink, kind) as writer:
        for event in _chosen(store, run_ids, workflow_id, on_progress):
            writer.write(event)
            written += 1
    return written


def _chosen(
    store: SyncEventStore,
    run_ids: str | Iterable[str] | None,
    workflow_id: str | None,
    on_progress: OnProgress | None,
) -> Iterator[RecordedEvent]:
    if run_ids is not None:
        wanted = dict.fromkeys([run_ids] if isinstance(run_ids, str) else run_ids)
        return _counted(chain.from_iterable(map(store.read_run, wanted)), on_progress)
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
