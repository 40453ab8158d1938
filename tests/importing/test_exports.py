"""What is exported can be imported."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from histories import histories
from hypothesis import HealthCheck, given, settings
from servers import AnyServer

from eventstore import InvalidArgument, NewEvent, RecordedEvent, RunNotFound, SyncEventStore
from importing.ground import counts, imported, line
from projections.state import fold
from replay.exporting import export_events
from replay.importing import Importer

pytestmark = pytest.mark.parametrize("server", ["valkey"], indirect=True)


def told(event: RecordedEvent) -> RecordedEvent:
    """An event without what the store adds when it records it."""
    return replace(
        event, recorded_at=event.occurred_at, position=event.position._replace(ms=0, n=0)
    )


@contextmanager
def another(server: AnyServer, namespace: str) -> Iterator[SyncEventStore]:
    name = f"{namespace}-2"
    try:
        with SyncEventStore.open(server.url, namespace=name) as store:
            yield store
    finally:
        server.forget(name)


def exported(store: SyncEventStore, **which: Any) -> io.BytesIO:
    sink = io.BytesIO()
    number = export_events(store, sink, **which)
    assert number == sink.getvalue().count(b"\n")
    sink.seek(0)
    return sink


@given(histories())
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_an_export_imported_elsewhere_gives_the_same_histories(
    server: AnyServer, namespace: str, events: list[NewEvent]
) -> None:
    server.forget(namespace)
    with SyncEventStore.open(server.url, namespace=namespace) as store:
        store.append("one", events)
        store.append("two", [NewEvent("run.created", {})])
        with another(server, namespace) as copy:
            report = Importer(copy).run(exported(store))

            assert counts(report) == (len(events) + 1, 0, 0)
            for run_id in ("one", "two"):
                originals = store.load(run_id)
                assert list(map(told, copy.load(run_id))) == list(map(told, originals))
                assert fold(copy.load(run_id)) == fold(originals)


def test_an_export_imported_where_it_came_from_changes_nothing(sync_store: SyncEventStore) -> None:
    sync_store.append("r", [NewEvent("run.created", {}), NewEvent("run.started", {})])
    before = [*sync_store.read_all()]

    report = Importer(sync_store).run(exported(sync_store))

    assert counts(report) == (0, 2, 0)
    assert [*sync_store.read_all()] == before


def test_one_run_is_exported_alone(sync_store: SyncEventStore) -> None:
    imported(sync_store, line("run.created"), line("run.created", "s"), line("run.started"))

    lines = list(map(json.loads, exported(sync_store, run_ids="r")))

    assert [(each["run_id"], each["version"]) for each in lines] == [("r", 1), ("r", 2)]
    with pytest.raises(RunNotFound):
        exported(sync_store, run_ids="nothing")


def test_a_workflow_is_exported_with_whole_runs(
    server: AnyServer, namespace: str, sync_store: SyncEventStore
) -> None:
    sync_store.append("late", [NewEvent("run.created", {})])
    sync_store.append("late", [NewEvent("run.started", {}, workflow_id="wanted")])
    sync_store.append("mixed", [NewEvent("run.created", {}, workflow_id="wanted")])
    sync_store.append("mixed", [NewEvent("run.started", {}, workflow_id="other")])
    sync_store.append("none", [NewEvent("run.created", {}, workflow_id="other")])

    with another(server, namespace) as copy:
        report = Importer(copy).run(exported(sync_store, workflow_id="wanted"))

        assert counts(report) == (4, 0, 0)
        assert {event.run_id for event in copy.read_all()} == {"late", "mixed"}


def test_a_run_and_a_workflow_together_are_refused(sync_store: SyncEventStore) -> None:
    with pytest.raises(InvalidArgument, match="not both"):
        exported(sync_store, run_ids="r", workflow_id="w")


def test_lines_have_the_fields_of_the_format_and_no_others(sync_store: SyncEventStore) -> None:
    sync_store.append("r", NewEvent("order.placed", {"n": 1}, meta={"actor": "ann"}))

    (written,) = map(json.loads, exported(sync_store))

    (event,) = sync_store.load("r")
    assert datetime.fromisoformat(written.pop("occurred_at")) == event.recorded_at
    assert written == {
        "run_id": "r",
        "workflow_id": None,
        "type": "order.placed",
        "data": {"n": 1},
        "meta": {"actor": "ann"},
        "id": event.id,
        "version": 1,
        "schema_version": 1,
    }
