"""Events are taken out and in by a call: to a path or an open file, whole or not at all."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from samples import noted
from servers import AnyServer

from eventstore import EventStore, ImportFailed, InvalidArgument, RunNotFound, SyncEventStore
from replay import Audit, Importer, SyncAudit, export_events, import_events
from replay.transfer.formats import FORMATS

pytestmark = pytest.mark.parametrize("server", ["valkey"], indirect=True)
EACH = pytest.mark.parametrize("kind", FORMATS)
RUNS = ("a", "b", "c")
ENDINGS = {"jsonl": ".jsonl", "csv": ".csv", "cloudevents": ".cloudevents.jsonl"}


@pytest.fixture
def audit(sync_store: SyncEventStore) -> SyncAudit:
    """Give the audit of a store with two events in each of three runs."""
    for run_id in RUNS:
        sync_store.append(run_id, [noted("1"), noted("2")])
    return SyncAudit(sync_store)


@pytest.fixture
def other(server: AnyServer, namespace: str) -> Iterator[SyncEventStore]:
    """Give an empty store."""
    with SyncEventStore.open(server.url, namespace=f"{namespace}-b") as store:
        yield store
    server.forget(f"{namespace}-b")


def needing(kind: str) -> str:
    if kind == "parquet":
        pytest.importorskip("pyarrow")
    return kind


@EACH
@pytest.mark.parametrize("zipped", ["", ".gz"])
def test_a_path_tells_the_format_on_the_way_out_and_in(
    audit: SyncAudit,
    sync_store: SyncEventStore,
    other: SyncEventStore,
    tmp_path: Path,
    kind: str,
    zipped: str,
) -> None:
    path = tmp_path / f"all{ENDINGS.get(needing(kind), '.parquet')}{zipped}"
    # when everything goes out, and into an empty store
    assert audit.export(path) == 6
    assert import_events(other, path).written == 6
    # then it is the same there, in that format, and nothing else was left
    assert [event.id for event in other.load("b")] == [event.id for event in sync_store.load("b")]
    with pytest.raises((ImportFailed, InvalidArgument)):
        import_events(other, path, "csv" if kind != "csv" else "jsonl")
    assert list(tmp_path.iterdir()) == [path]


def test_an_open_file_gets_json_lines_and_stays_open(audit: SyncAudit) -> None:
    sink = io.BytesIO()
    assert audit.export(sink, run_ids="b") == 2
    lines = [json.loads(line) for line in sink.getvalue().splitlines()]
    assert [(line["run_id"], line["version"]) for line in lines] == [("b", 1), ("b", 2)]


def test_the_format_that_is_asked_for_goes_before_the_name(
    audit: SyncAudit, tmp_path: Path
) -> None:
    audit.export(str(tmp_path / "all.jsonl.gz"), "csv")
    with gzip.open(tmp_path / "all.jsonl.gz", "rt") as file:
        assert len(list(csv.DictReader(file))) == 6
    with pytest.raises(InvalidArgument, match="format 'xml' is not known"):
        audit.export(tmp_path / "all.xml", "xml")
    assert not (tmp_path / "all.xml").exists()


def test_some_runs_go_out_one_after_the_other_each_once(audit: SyncAudit) -> None:
    sink, told = io.BytesIO(), list[int]()
    assert audit.export(sink, run_ids=["c", "a", "c"], on_progress=told.append) == 4
    runs = [json.loads(line)["run_id"] for line in sink.getvalue().splitlines()]
    assert runs == ["c", "c", "a", "a"]
    assert audit.export(io.BytesIO(), run_ids=[]) == 0


@EACH
def test_an_export_that_fails_leaves_what_was_there(
    audit: SyncAudit, tmp_path: Path, kind: str
) -> None:
    path, sink = tmp_path / "out", io.BytesIO()
    path.write_text("before")
    # when the second run that is asked for is missing
    for target in (path, sink):
        with pytest.raises(RunNotFound):
            audit.export(target, needing(kind), run_ids=["a", "nothing"])
    # then the file is as it was, and an open one is open
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("out", "before")]
    assert not sink.closed


async def test_the_asyncio_form_does_the_same(
    store: EventStore, tmp_path: Path, namespace: str, server: AnyServer
) -> None:
    for run_id in RUNS:
        await store.append(run_id, noted(run_id, workflow_id="w" if run_id == "b" else None))
    path = tmp_path / "b.csv"
    assert await Audit(store).export(path, workflow_id="w") == 1
    with SyncEventStore.open(server.url, namespace=namespace) as same:
        report = import_events(same, path)
        assert (report.written, report.already_there) == (0, 1)
        assert export_events(same, io.BytesIO(), "cloudevents") == 3


def test_an_import_leaves_out_what_is_bad_and_says_so(sync_store: SyncEventStore) -> None:
    content = b'{"run_id": "r", "type": "a.b"}\n{}\n'
    bad: list[ImportFailed] = []
    with pytest.raises(ImportFailed, match="line 2"):
        import_events(sync_store, io.BytesIO(content))
    report = import_events(sync_store, io.BytesIO(content), skip_bad=True, on_bad=bad.append)
    assert (report.already_there, report.bad, [one.line for one in bad]) == (1, 1, [2])


def test_an_importer_reads_each_file_by_its_name(
    sync_store: SyncEventStore, tmp_path: Path
) -> None:
    (tmp_path / "1.csv").write_text("run_id,type\nr,a.b\n")
    (tmp_path / "2.jsonl").write_text('{"run_id": "s", "type": "a.b"}\n')
    importer = Importer(sync_store)
    assert [importer.run(path).written for path in sorted(tmp_path.iterdir())] == [1, 1]
