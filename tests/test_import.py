"""Importing and exporting files of events: what is taken, what is refused, what comes twice."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import random
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from histories import histories
from hypothesis import HealthCheck, given, settings
from servers import AnyServer

from eventstore import (
    ImportFailed,
    InvalidArgument,
    NewEvent,
    RecordedEvent,
    RunNotFound,
    Settings,
    SyncEventStore,
)
from eventstore.timers import WINDOW
from projections.state import fold
from replay.exporting import export_events
from replay.importing import Importer, ImportReport
from replay.transfer.jsonl import MAX_LINE_BYTES

pytestmark = pytest.mark.parametrize("server", ["valkey"], indirect=True)

Line = dict[str, Any]
DAY_MS = 24 * 3_600_000


def line(kind: str, run_id: str = "r", minute: int = 0, **fields: Any) -> Line:
    """One line of the format, as other tools write it."""
    data = fields.pop("data", {})
    at = f"2012-05-01T10:{minute:02}:00.000Z"
    return {"run_id": run_id, "workflow_id": "w", "type": kind, "data": data, "occurred_at": at} | {
        name: value for name, value in fields.items() if value is not ...
    }


def paused(run_id: str = "r", pause_id: str = "p", minute: int = 1, **fields: Any) -> Line:
    data = {"pause_id": pause_id, "state": {"n": 1}, "window_ms": DAY_MS, "on_expiry": "park"}
    return line("run.paused", run_id, minute, data=data | fields)


def resumed(run_id: str = "r", pause_id: str = "p", minute: int = 2) -> Line:
    return line("run.resumed", run_id, minute, data={"pause_id": pause_id, "cause": "manual"})


def file_of(*lines: Line | bytes | str) -> io.BytesIO:
    """A file of these lines; bytes and text stand as they are."""
    raw = (
        each if isinstance(each, bytes) else (each if isinstance(each, str) else json.dumps(each))
        for each in lines
    )
    return io.BytesIO(b"\n".join(r if isinstance(r, bytes) else r.encode() for r in raw) + b"\n")


def imported(store: SyncEventStore, *lines: Line | bytes | str, **options: Any) -> ImportReport:
    return Importer(store, **options).run(file_of(*lines))


def counts(report: ImportReport) -> tuple[int, int, int]:
    return report.written, report.already_there, report.bad


def types(store: SyncEventStore, run_id: str = "r") -> list[str]:
    return [event.type for event in store.load(run_id)]


def timers(store: SyncEventStore) -> dict[tuple[str, str], int]:
    """All timers that will ever be due, by run and reference."""
    far = datetime(2100, 1, 1, tzinfo=UTC)
    due = store.due(now=far, limit=1_000)
    assert all(each.timer.kind == WINDOW for each in due)
    return {(each.timer.run_id, each.timer.ref): each.due_ms for each in due}


def told(event: RecordedEvent) -> RecordedEvent:
    """An event without what the store adds when it records it."""
    return replace(
        event, recorded_at=event.occurred_at, position=event.position._replace(ms=0, n=0)
    )


# What comes in


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


# What comes twice


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


# What contradicts the store


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


# What is no event

DEEP = "[" * 200 + "]" * 200
GOOD = json.dumps(line("run.created", "other"))


def raw(**fields: str) -> str:
    """A line of raw JSON values."""
    texts = {"run_id": '"r"', "type": '"order.placed"'} | fields
    return "{" + ",".join(f'"{name}":{text}' for name, text in texts.items()) + "}"


BAD: dict[str, tuple[str | bytes, str]] = {
    "broken JSON": ('{"run_id": "r", "type": "order.pl', "not JSON"),
    "no JSON at all": ("hello", "not JSON"),
    "not UTF-8": (b'{"run_id": "\xff", "type": "x"}', "not JSON"),
    "a list": ("[1]", "JSON object, not list"),
    "no run": ('{"type": "x"}', "run_id is missing"),
    "no type": ('{"run_id": "r"}', "type is missing"),
    "neither": ("{}", "run_id and type is missing"),
    "unknown fields": (raw(colour="1", size="2"), "unknown fields 'colour', 'size'"),
    "an empty run id": (raw(run_id='""'), "must not be empty"),
    "a run id that is a number": (raw(run_id="7"), "must be a string"),
    "a long run id": (raw(run_id=json.dumps("x" * 201)), "201 bytes"),
    "a line break in the run id": (raw(run_id='"a\\nb"'), "control characters"),
    "a reserved type": (raw(type='"__x"'), "reserved"),
    "a type that is a number": (raw(type="1"), "type"),
    "data that is a list": (raw(data="[1]"), "data"),
    "data that does not fit": (raw(type='"run.paused"', data="{}"), "run.paused data"),
    "NaN": (raw(data='{"x": NaN}'), "not JSON"),
    "an infinity": (raw(data='{"n": 1000000000000000000000, "x": Infinity}'), "JSON"),
    "a number beyond 64 bits": (raw(data='{"n": 123456789012345678901234567890}'), "JSON"),
    "nesting too deep": (raw(data='{"x":' + DEEP + "}"), "nested deeper"),
    "a time without a zone": (raw(occurred_at='"2012-05-01T10:00:00"'), "no time zone"),
    "a time that is none": (raw(occurred_at='"yesterday"'), "no ISO 8601"),
    "a time that is a number": (raw(occurred_at="1335866400"), "no ISO 8601"),
    "version 0": (raw(version="0"), "version must be"),
    "a version that is a text": (raw(version='"1"'), "version must be"),
    "an empty id": (raw(id='""'), "id must not be empty"),
    "an event over a MiB": (raw(data=json.dumps({"x": "y" * 1_048_576})), "over 1048576"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_line_stops_the_import_and_the_lines_before_it_are_kept(
    sync_store: SyncEventStore, name: str
) -> None:
    text, reason = BAD[name]
    before = [line("run.created", f"before-{n}") for n in range(3)]

    with pytest.raises(ImportFailed, match=f"^line 4: .*{re.escape(reason)}") as failed:
        imported(sync_store, *before, text, GOOD)

    assert failed.value.line == 4
    assert "\n" not in str(failed.value)
    assert len(str(failed.value)) < 500
    assert {event.run_id for event in sync_store.read_all()} == {"before-0", "before-1", "before-2"}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_line_is_left_out_and_counted_with_skip_bad(
    sync_store: SyncEventStore, name: str
) -> None:
    told_of: list[ImportFailed] = []

    report = imported(
        sync_store, line("run.created"), BAD[name][0], GOOD, skip_bad=True, on_bad=told_of.append
    )

    assert counts(report) == (2, 0, 1)
    assert [bad.line for bad in told_of] == [2]
    assert types(sync_store, "other") == ["run.created"]


def test_the_limits_are_those_of_the_store(server: AnyServer, namespace: str) -> None:
    small = Settings(max_event_bytes=300, max_append_events=2)
    with SyncEventStore.open(server.url, namespace=namespace, settings=small) as store:
        lines = [line("order.placed", data={"n": n}) for n in range(7)]
        assert counts(imported(store, *lines)) == (7, 0, 0)
        with pytest.raises(ImportFailed, match="over 300"):
            imported(store, line("order.placed", "s", data={"x": "y" * 300}))


def test_nothing_follows_the_end_of_a_run_but_its_deletion(sync_store: SyncEventStore) -> None:
    ended = [line("run.created"), line("run.completed"), line("run.deleted")]
    assert counts(imported(sync_store, *ended)) == (3, 0, 0)

    for number, late in ((3, line("run.started")), (4, line("run.deleted"))):
        with pytest.raises(ImportFailed, match=f"line {number}: .*ended the run"):
            imported(sync_store, *ended[: number - 1], late)


def test_versions_of_a_run_follow_each_other(sync_store: SyncEventStore) -> None:
    with pytest.raises(ImportFailed, match=r"line 2: .*version 3 does not follow version 1"):
        imported(sync_store, line("run.created", version=1), line("run.started", version=3))

    assert types(sync_store) == ["run.created"]


def test_bad_lines_do_not_count_in_their_run_and_come_back_the_same(
    sync_store: SyncEventStore,
) -> None:
    lines = [line("run.created"), raw(colour="1"), line("run.started"), paused()]

    first = imported(sync_store, *lines, skip_bad=True)
    second = imported(sync_store, *lines, skip_bad=True)

    assert (counts(first), counts(second)) == ((3, 0, 1), (0, 3, 1))
    assert types(sync_store) == ["run.created", "run.started", "run.paused"]


def test_a_line_too_long_to_be_one_is_not_kept_in_memory(sync_store: SyncEventStore) -> None:
    endless = b'{"run_id": "' + b"x" * (2 * MAX_LINE_BYTES)

    report = imported(sync_store, line("run.created"), endless, GOOD, skip_bad=True)

    assert counts(report) == (2, 0, 1)


@pytest.mark.parametrize("cut", [0.5, 0.99])
@pytest.mark.parametrize("skip_bad", [False, True])
def test_a_gzip_file_that_is_cut_off_gives_the_lines_before(
    sync_store: SyncEventStore, cut: float, *, skip_bad: bool
) -> None:
    lines, content = _zipped()
    source = io.BytesIO(content[: int(len(content) * cut)])
    importer = Importer(sync_store, skip_bad=skip_bad)

    if skip_bad:
        assert importer.run(source).bad == 1
    else:
        with pytest.raises(ImportFailed, match="cut off") as failed:
            importer.run(source)
        assert failed.value.line == importer.report.written + 1

    stored = [event.data for event in sync_store.load("r")]
    assert 500 < len(stored) < 2_000
    assert stored == [each["data"] for each in lines[: len(stored)]]


@pytest.mark.parametrize("skip_bad", [False, True])
@pytest.mark.parametrize("place", [-40, -7])
def test_nothing_is_taken_of_a_gzip_file_with_a_flipped_bit(
    sync_store: SyncEventStore, place: int, *, skip_bad: bool
) -> None:
    content = bytearray(_zipped()[1])
    content[place] ^= 1

    with pytest.raises(InvalidArgument, match="damaged"):
        Importer(sync_store, skip_bad=skip_bad).run(io.BytesIO(content))

    assert [*sync_store.read_all()] == []


def _zipped() -> tuple[list[Line], bytes]:
    """Lines that hardly compress, so that a part of the bytes is a part of the lines."""
    chance = random.Random(1)
    lines = [line("order.placed", data={"x": chance.randbytes(40).hex()}) for _ in range(2_000)]
    return lines, gzip.compress(file_of(*lines).getvalue())


def test_a_plain_file_cut_in_the_middle_of_a_line_names_that_line(
    sync_store: SyncEventStore,
) -> None:
    content = file_of(line("run.created"), line("run.started")).getvalue()

    with pytest.raises(ImportFailed, match=r"line 2: .*not JSON"):
        Importer(sync_store).run(io.BytesIO(content[:-20]))

    assert types(sync_store) == ["run.created"]


# Timers


FAILED = line("run.failed", minute=2, data={"error": {"type": "E", "message": "m"}})
EXPIRED = line("run.window_expired", minute=2, data={"pause_id": "p"})


def test_a_pause_that_a_later_line_ends_sets_no_timer(sync_store: SyncEventStore) -> None:
    imported(
        sync_store,
        *(paused(run) for run in "abcd"),
        resumed("a"),
        FAILED | {"run_id": "b"},
        EXPIRED | {"run_id": "c"},
        batch_events=1,
    )

    assert timers(sync_store) == {("d", "p"): _ms(1) + DAY_MS}


def _ms(minute: int) -> int:
    return int(datetime(2012, 5, 1, 10, minute, tzinfo=UTC).timestamp() * 1_000)


@pytest.mark.parametrize("end", [resumed(), FAILED, EXPIRED, paused(window_ms=None)])
def test_no_timer_is_there_while_the_end_of_a_pause_is_still_to_come(
    sync_store: SyncEventStore, end: Line
) -> None:
    with pytest.raises(ImportFailed, match="line 2"):
        imported(sync_store, paused(), "broken", end)
    assert types(sync_store) == ["run.paused"]
    assert timers(sync_store) == {}

    imported(sync_store, paused(), end)

    assert types(sync_store) == ["run.paused", end["type"]]
    assert timers(sync_store) == {}


def test_a_resume_that_is_left_out_leaves_the_timer(sync_store: SyncEventStore) -> None:
    broken = resumed() | {"colour": 1}

    imported(sync_store, paused(), broken, paused("s"), resumed("s"), skip_bad=True)

    assert timers(sync_store) == {("r", "p"): _ms(1) + DAY_MS}


def test_each_pause_of_a_run_is_looked_at_by_its_own_id(sync_store: SyncEventStore) -> None:
    imported(
        sync_store,
        paused(pause_id="a"),
        paused(pause_id="b", minute=2),
        resumed(pause_id="a", minute=3),
        paused(pause_id="a", minute=4, window_ms=5),
        paused(pause_id="endless", window_ms=None),
    )

    assert timers(sync_store) == {("r", "a"): _ms(4) + 5, ("r", "b"): _ms(2) + DAY_MS}


def test_a_resume_written_with_escapes_is_seen(sync_store: SyncEventStore) -> None:
    escaped = json.dumps(resumed()).replace("run.resumed", "\\u0072\\u0075n.resumed")

    with pytest.raises(ImportFailed):
        imported(sync_store, paused(), "broken", escaped)

    assert timers(sync_store) == {}


def test_a_pause_that_was_open_at_the_end_is_cleared_by_a_later_file(
    sync_store: SyncEventStore,
) -> None:
    imported(sync_store, paused())
    assert timers(sync_store)

    imported(sync_store, paused(), resumed())

    assert timers(sync_store) == {}


# What goes out


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
