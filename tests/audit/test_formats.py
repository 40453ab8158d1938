"""Events go out in each format and come back as they were."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from histories import histories
from hypothesis import HealthCheck, given, settings
from samples import noted
from servers import AnyServer

from eventstore import ImportFailed, InvalidArgument, NewEvent, RecordedEvent, SyncEventStore
from eventstore.events.identifiers import new_id
from replay.exporting import export_events
from replay.importing import Importer
from replay.transfer.formats import FORMATS, format_of

pytestmark = pytest.mark.parametrize("server", ["valkey"], indirect=True)
EACH = pytest.mark.parametrize("kind", FORMATS)
ON_A_REAL_SERVER = settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture
def other(server: AnyServer, namespace: str) -> Iterator[SyncEventStore]:
    """Give an empty store."""
    with SyncEventStore.open(server.url, namespace=f"{namespace}-b") as store:
        yield store
    server.forget(f"{namespace}-b")


def facts(event: RecordedEvent) -> tuple[Any, ...]:
    return (
        *(event.run_id, event.version, event.type, event.id, event.workflow_id),
        *(event.data, event.meta, event.schema_version, event.occurred_at),
    )


def exported(store: SyncEventStore, kind: str, **options: Any) -> io.BytesIO:
    if kind == "parquet":
        pytest.importorskip("pyarrow")
    sink = io.BytesIO()
    export_events(store, sink, format=kind, **options)
    sink.seek(0)
    return sink


@EACH
@ON_A_REAL_SERVER
@given(history=histories(max_events=10))
def test_what_went_out_comes_back_as_it_was(
    sync_store: SyncEventStore, other: SyncEventStore, kind: str, history: list[NewEvent]
) -> None:
    run_id = new_id()
    sync_store.append(run_id, history)
    # when a run goes out and into another store
    report = Importer(other, format=kind).run(exported(sync_store, kind, run_ids=run_id))
    # then it is the same there, and again changes nothing
    assert report.written == len(history)
    assert list(map(facts, other.load(run_id))) == list(map(facts, sync_store.load(run_id)))
    again = Importer(other, format=kind).run(exported(sync_store, kind, run_ids=run_id))
    assert (again.written, again.already_there) == (0, len(history))


@EACH
@pytest.mark.parametrize("text", ['a,"b"\n\r\n', "=1+1", "\u2028\x00", "🌍", " "])
def test_awkward_text_survives(
    sync_store: SyncEventStore, other: SyncEventStore, kind: str, text: str
) -> None:
    run_id = 'run,"1" 🌍'
    sync_store.append(run_id, noted(text, meta={text: text}))
    Importer(other, format=kind).run(exported(sync_store, kind))
    assert facts(other.load(run_id)[0]) == facts(sync_store.load(run_id)[0])


@EACH
def test_an_event_as_large_as_may_be_survives(
    sync_store: SyncEventStore, other: SyncEventStore, kind: str
) -> None:
    text = "ab\n" * 250_000
    sync_store.append("run", noted(text))
    Importer(other, format=kind).run(exported(sync_store, kind))
    assert other.load("run")[0].data == {"text": text}


@pytest.mark.parametrize(
    ("kind", "content", "line", "reason"),
    [
        ("csv", b"run_id,type\nr,\n", 2, "type is missing"),
        ("csv", b"run_id,type,data\nr,a.b,{\n", 2, "not JSON"),
        ("csv", b"run_id,type,version\nr,a.b,x\n", 2, "invalid literal"),
        ("csv", b"run_id,type,other\nr,a.b,x\n", 2, "unknown fields 'other'"),
        ("csv", b"run_id,type\nr,a.b\nr,a.b,c\n", 3, "unknown fields"),
        ("csv", b'run_id,type,data\nr,a.b,"{""n"": 123456789012345678901}"\n', 2, "64-bit"),
        ("cloudevents", b'{"id": "1"}\n', 1, "specversion"),
        ("cloudevents", b"[]\n", 1, "specversion"),
        ("cloudevents", b"{\n", 1, "not JSON"),
    ],
)
def test_a_bad_line_is_named(
    sync_store: SyncEventStore, kind: str, content: bytes, line: int, reason: str
) -> None:
    with pytest.raises(ImportFailed, match=reason) as failed:
        Importer(sync_store, format=kind).run(io.BytesIO(content))
    assert failed.value.line == line


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        ("csv", b"a,b\n1,2\n"),
        ("csv", b""),
        ("csv", b"run_id,type\n\xff,a.b\n"),
        ("csv", b'run_id,type\n"r,a.b'),
        ("parquet", b"no parquet"),
        ("other", b""),
    ],
)
def test_a_file_of_another_format_is_refused(
    sync_store: SyncEventStore, kind: str, content: bytes
) -> None:
    with pytest.raises(InvalidArgument):
        Importer(sync_store, format=kind).run(io.BytesIO(content))


def test_a_table_without_the_optional_columns_is_taken(sync_store: SyncEventStore) -> None:
    content = b'type,run_id,data\nnote.taken,r,"{""text"": ""x""}"\nnote.taken,r,\n'
    assert Importer(sync_store, format="csv").run(io.BytesIO(content)).written == 2
    assert [event.data for event in sync_store.load("r")] == [{"text": "x"}, {}]


def test_csv_is_one_row_an_event_for_any_reader(sync_store: SyncEventStore) -> None:
    sync_store.append("run", [noted("a,b\n"), noted()])
    rows = list(csv.DictReader(io.TextIOWrapper(exported(sync_store, "csv"), "utf-8")))
    assert [(row["run_id"], row["version"], row["data"]) for row in rows] == [
        ("run", "1", '{"text":"a,b\\n"}'),
        ("run", "2", '{"text":""}'),
    ]


def test_parquet_without_pyarrow_says_what_to_install(
    sync_store: SyncEventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(InvalidArgument, match=r"runstore\[export\]"):
        export_events(sync_store, io.BytesIO(), format="parquet")


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.csv", "csv"),
        ("a.CSV.gz", "csv"),
        ("a.parquet", "parquet"),
        ("a.cloudevents.jsonl.gz", "cloudevents"),
        ("a.jsonl", "jsonl"),
        ("-", "jsonl"),
        ("x.csv/a", "jsonl"),
    ],
)
def test_a_name_tells_the_format(server: AnyServer, name: str, kind: str) -> None:
    assert format_of(name) == kind
