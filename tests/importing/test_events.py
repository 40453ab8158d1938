"""What lines tell is what is stored."""

from __future__ import annotations

import gzip
import io
import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from eventstore import InvalidArgument, SyncEventStore
from importing.ground import counts, file_of, imported, line, paused, resumed
from replay.importing import Importer

pytestmark = pytest.mark.parametrize("server", ["valkey"], indirect=True)


def test_events_are_stored_as_the_lines_tell_them(sync_store: SyncEventStore) -> None:
    meta = {"actor": "ann", "x": [1, {"y": None}]}
    report = imported(
        sync_store,
        line("run.created", data={"input": {"n": 1}}, meta=meta),
        line("run.started", minute=1, workflow_id=...),
    )

    first, second = sync_store.load("r")
    assert (first.type, first.data, first.meta) == ("run.created", {"input": {"n": 1}}, meta)
    assert first.occurred_at == datetime(2012, 5, 1, 10, tzinfo=UTC)
    assert (first.version, second.version, second.workflow_id) == (1, 2, "w")
    assert counts(report) == (2, 0, 0)
    assert report.runs == 1


def test_a_line_needs_no_more_than_a_run_and_a_type(sync_store: SyncEventStore) -> None:
    imported(sync_store, {"run_id": "r", "type": "order.placed"})

    (event,) = sync_store.load("r")
    assert (event.data, event.meta, event.workflow_id) == ({}, {}, None)
    assert event.occurred_at == event.recorded_at


def test_an_id_version_and_schema_version_of_the_line_are_kept(sync_store: SyncEventStore) -> None:
    imported(sync_store, line("run.created", id="mine", version=1, schema_version=3))

    (event,) = sync_store.load("r")
    assert (event.id, event.version, event.schema_version) == ("mine", 1, 3)


def test_blank_lines_foreign_line_ends_and_a_missing_last_one_do_not_matter(
    sync_store: SyncEventStore,
) -> None:
    first, second = (json.dumps(line(kind)).encode() for kind in ("run.created", "run.started"))
    source = io.BytesIO(b"\n" + first + b"\r\n  \n\n" + second)

    assert counts(Importer(sync_store).run(source)) == (2, 0, 0)


@pytest.mark.parametrize("zipped", [False, True])
def test_a_path_a_file_and_a_pipe_are_read_alike(
    sync_store: SyncEventStore, tmp_path: Path, *, zipped: bool
) -> None:
    content = file_of(line("run.created"), paused(), resumed()).getvalue()
    path = tmp_path / "events"
    path.write_bytes(gzip.compress(content) if zipped else content)

    with path.open("rb") as opened, _piped(path.read_bytes()) as pipe:
        reports = [
            Importer(sync_store).run(path),
            Importer(sync_store).run(opened),
            Importer(sync_store).run(pipe),
        ]
        assert not opened.closed

    assert [counts(report) for report in reports] == [(3, 0, 0), (0, 3, 0), (0, 3, 0)]


def _piped(content: bytes) -> Any:
    read_end, write_end = os.pipe()
    with open(write_end, "wb") as sink:  # noqa: PTH123 - a pipe has no path
        sink.write(content)
    return open(read_end, "rb")  # noqa: PTH123 - as above


def test_progress_is_told_in_bytes_up_to_the_end(sync_store: SyncEventStore) -> None:
    seen: list[tuple[int, int]] = []
    source = file_of(*(line("order.placed", f"r{n}") for n in range(25)))

    Importer(sync_store, batch_events=10, on_progress=lambda *at: seen.append(at)).run(source)

    size = len(source.getvalue())
    assert seen == sorted(seen)
    assert len(seen) == 3
    assert seen[-1] == (size, size)


def test_a_missing_file_is_an_os_error(sync_store: SyncEventStore, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Importer(sync_store).run(tmp_path / "nothing")


def test_batches_have_bounds(sync_store: SyncEventStore) -> None:
    with pytest.raises(InvalidArgument, match="batch_events"):
        Importer(sync_store, batch_events=0)
