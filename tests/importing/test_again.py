"""The same lines again: after more was appended, after a stop, beside another import."""

from __future__ import annotations

import hashlib
import json
import threading
from uuid import UUID

import pytest
from servers import AnyServer

from eventstore import ImportFailed, NewEvent, SyncEventStore
from importing.ground import counts, imported, line, paused, resumed, timers, types
from replay.importing import ImportReport

pytestmark = pytest.mark.parametrize("server", ["valkey"], indirect=True)


def test_a_second_import_changes_nothing(sync_store: SyncEventStore) -> None:
    lines = [line("run.created"), line("run.created", "s"), paused(), paused("s"), resumed()]
    imported(sync_store, *lines)
    before = [*sync_store.read_all()]

    report = imported(sync_store, *lines)

    assert counts(report) == (0, 5, 0)
    assert [*sync_store.read_all()] == before


def test_the_same_lines_written_otherwise_are_the_same_events(sync_store: SyncEventStore) -> None:
    lines = [line("run.created", data={"input": 1}, meta={"actor": "ä"}), line("run.started")]
    imported(sync_store, *lines)

    turned = [json.dumps(dict(reversed(each.items())), indent=None) for each in lines]
    report = imported(sync_store, *(text.replace(",", " ,  ") for text in turned))

    assert counts(report) == (0, 2, 0)


def test_ids_of_lines_are_version_7_uuids_with_the_time_of_the_event(
    sync_store: SyncEventStore,
) -> None:
    imported(sync_store, *[line("order.placed")] * 3, {"run_id": "r", "type": "order.placed"})

    events = sync_store.load("r")
    ids = [UUID(event.id) for event in events]
    assert len(set(ids)) == 4
    assert all(each.version == 7 and each.variant == "specified in RFC 4122" for each in ids)
    assert [each.int >> 80 for each in ids] == [1_335_866_400_000] * 3 + [0]


def test_the_rule_of_ids_is_the_one_that_is_written_down(sync_store: SyncEventStore) -> None:
    imported(sync_store, line("run.created"), line("run.started", data={"b": 1, "a": [True]}))

    second = line("run.started", data={"b": 1, "a": [True]}) | {"version": 2}
    content = json.dumps(second, sort_keys=True, separators=(",", ":")).encode()
    hashed = int.from_bytes(hashlib.blake2b(content, digest_size=10).digest()) % 2**74
    bits = f"{1_335_866_400_000:048b}0111{hashed:074b}"
    expected = UUID(int=int(bits[:64] + "10" + bits[64:], 2))
    assert sync_store.load("r")[1].id == str(expected)


def test_a_file_that_grew_adds_what_is_new(sync_store: SyncEventStore) -> None:
    lines = [line("run.created"), paused(), line("run.created", "s")]
    imported(sync_store, *lines)

    report = imported(sync_store, *lines, resumed(), line("run.started", "s"))

    assert counts(report) == (2, 3, 0)
    assert types(sync_store) == ["run.created", "run.paused", "run.resumed"]


def test_what_was_appended_after_an_import_stays(sync_store: SyncEventStore) -> None:
    lines = [line("run.created"), line("run.started")]
    imported(sync_store, *lines)
    sync_store.append("r", NewEvent("run.completed", {"output": 1}))

    assert counts(imported(sync_store, *lines)) == (0, 2, 0)
    assert types(sync_store) == ["run.created", "run.started", "run.completed"]


@pytest.mark.parametrize("batch_events", [1, 7, 1_000])
def test_an_import_that_stopped_anywhere_goes_on(
    sync_store: SyncEventStore, batch_events: int
) -> None:
    runs = [f"r{n}" for n in range(9)]
    kinds = [line, paused, resumed]
    lines = [line("run.created", run) for run in runs]
    lines += [kind(run) for kind in kinds[1:] for run in runs]
    lines += [line("run.completed", run, 3) for run in runs]
    for cut in (5, 14, 30):
        imported(sync_store, *lines[:cut], batch_events=batch_events)

    report = imported(sync_store, *lines, batch_events=batch_events)

    assert counts(report) == (len(lines) - 30, 30, 0)
    assert all(types(sync_store, run)[-1] == "run.completed" for run in runs)
    assert timers(sync_store) == {}


def test_two_imports_at_the_same_time_store_each_event_once(
    server: AnyServer, namespace: str
) -> None:
    lines = [line("order.placed", f"r{n % 50}", data={"n": n}) for n in range(3_000)]
    reports: list[ImportReport] = []
    barrier = threading.Barrier(3)

    def work() -> None:
        with SyncEventStore.open(server.url, namespace=namespace) as store:
            barrier.wait(10)
            reports.append(imported(store, *lines, batch_events=100))

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sum(report.written for report in reports) == 3_000
    assert all(report.written + report.already_there == 3_000 for report in reports)
    with SyncEventStore.open(server.url, namespace=namespace) as store:
        assert [e.data["n"] for e in store.load("r7")] == list(range(7, 3_000, 50))


def test_another_history_than_the_stored_one_is_refused_with_line_run_and_both(
    sync_store: SyncEventStore,
) -> None:
    imported(sync_store, line("run.created"), line("run.started"))

    with pytest.raises(ImportFailed, match="different histories") as failed:
        imported(sync_store, line("run.created", "s"), line("run.created"), paused())

    assert failed.value.line == 3
    for part in ("line 3", "'r'", "version 2", "run.paused", "run.started"):
        assert part in str(failed.value)
    assert types(sync_store) == ["run.created", "run.started"]
    assert types(sync_store, "s") == ["run.created"]


def test_lines_after_the_stored_end_of_a_run_are_refused(sync_store: SyncEventStore) -> None:
    imported(sync_store, line("run.created"))
    sync_store.append("r", NewEvent("run.aborted", {}))

    with pytest.raises(ImportFailed, match="line 2") as failed:
        imported(sync_store, line("run.created"), line("run.started"))

    assert "run.aborted" in str(failed.value)


def test_a_version_beyond_what_is_stored_is_refused(sync_store: SyncEventStore) -> None:
    imported(sync_store, line("run.created"))

    with pytest.raises(ImportFailed, match=r"version 3 .* does not follow version 1"):
        imported(sync_store, line("run.started", version=3))


def test_lines_that_begin_at_the_version_after_the_stored_ones_are_taken(
    sync_store: SyncEventStore,
) -> None:
    imported(sync_store, line("run.created"))

    imported(sync_store, line("run.started", version=2), line("run.completed"))

    assert types(sync_store) == ["run.created", "run.started", "run.completed"]


def test_a_run_that_differs_is_left_and_the_others_are_taken_with_skip_bad(
    sync_store: SyncEventStore,
) -> None:
    imported(sync_store, line("run.created"), line("run.started"))
    bad: list[ImportFailed] = []
    lines = [line("run.created"), paused(), line("run.created", "s"), resumed(), paused("s")]

    report = imported(sync_store, *lines, skip_bad=True, on_bad=bad.append, batch_events=3)

    assert counts(report) == (2, 1, 2)
    assert [each.line for each in bad] == [2, 4]
    assert types(sync_store) == ["run.created", "run.started"]
