"""Lines and files that are broken."""

from __future__ import annotations

import gzip
import io
import json
import random
import re

import pytest
from servers import AnyServer

from eventstore import ImportFailed, InvalidArgument, Settings, SyncEventStore
from importing.ground import Line, counts, file_of, imported, line, paused, raw, types
from replay.importing import Importer
from replay.transfer.jsonl import MAX_LINE_BYTES

pytestmark = pytest.mark.parametrize("server", ["valkey"], indirect=True)


DEEP = "[" * 200 + "]" * 200
GOOD = json.dumps(line("run.created", "other"))
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
