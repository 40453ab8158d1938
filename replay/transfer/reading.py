"""Reads events of each of the formats, as lines of JSON."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, BinaryIO

import orjson

from eventstore.errors import InvalidArgument, InvalidEvent
from eventstore.events import from_cloudevent
from replay.transfer.formats import Format, arrow
from replay.transfer.jsonl import FIELDS, MAX_LINE_BYTES, load_json

Line = bytes | InvalidEvent
"""A line of JSON, or why what stands there is none."""

_BATCH_ROWS = 1_000


def as_lines(file: BinaryIO, kind: Format) -> Iterator[tuple[int, Line]]:
    """Give each event of a file as a line of JSON, with its number there, from 1 on.

    In a CSV file that is the number of the row's last line. Raises ``InvalidArgument`` for a file
    that is of another format, or where pyarrow is missing.
    """
    if kind == "cloudevents":
        yield from ((number, _from_cloud(raw)) for number, raw in plain_lines(file))
        return
    rows = _csv_rows(file) if kind == "csv" else _parquet_rows(file)
    for number, row in rows:
        try:
            yield number, _line(row)
        except (InvalidEvent, TypeError, ValueError) as error:
            yield number, error if isinstance(error, InvalidEvent) else InvalidEvent(str(error))


def plain_lines(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Give each line that is not blank; one over ``MAX_LINE_BYTES`` cut, a byte longer."""
    number = 0
    while raw := file.readline(MAX_LINE_BYTES + 1):
        number += 1
        if len(raw) > MAX_LINE_BYTES:
            _skip_to_end(file, raw)
        if raw.strip():
            yield number, raw


def _skip_to_end(file: BinaryIO, raw: bytes) -> None:
    while raw and not raw.endswith(b"\n"):
        raw = file.readline(MAX_LINE_BYTES)


def _from_cloud(raw: bytes) -> Line:
    """Give a line that holds a CloudEvent as a line of ours."""
    try:
        cloud = load_json(raw)
        run_id, event = from_cloudevent(cloud)
    except InvalidEvent as error:
        return error
    fields: dict[str, Any] = {
        "run_id": run_id,
        "type": event.type,
        "data": event.data,
        "workflow_id": event.workflow_id,
        "id": event.id,
        "meta": event.meta,
        "occurred_at": event.occurred_at,
        "version": cloud.get("runversion"),
        "schema_version": event.schema_version,
    }
    return orjson.dumps(fields)


def _line(row: Mapping[Any, Any]) -> bytes:
    """Make a line of a row whose ``data`` and ``meta`` are JSON as text."""
    fields = {str(name): value for name, value in row.items() if value not in (None, "")}
    for name in ("data", "meta"):
        if name in fields:
            fields[name] = load_json(str(fields[name]).encode())
    for name in ("version", "schema_version"):
        if isinstance(fields.get(name), str):
            fields[name] = int(fields[name])
    return orjson.dumps(fields)


def _csv_rows(file: BinaryIO) -> Iterator[tuple[int, Mapping[Any, Any]]]:
    csv.field_size_limit(max(csv.field_size_limit(), MAX_LINE_BYTES))
    text = io.TextIOWrapper(file, "utf-8", newline="")
    try:
        rows = csv.DictReader(text, strict=True)
        missing = {"run_id", "type"} - set(rows.fieldnames or ())
        if missing:
            raise InvalidArgument(
                f"the first line of a CSV file names its columns, of {', '.join(FIELDS)}; "
                f"{' and '.join(sorted(missing))} is missing"
            )
        for row in rows:
            yield rows.line_num, row
    except (csv.Error, UnicodeDecodeError) as error:
        raise InvalidArgument(f"it cannot be read as CSV: {error}") from None
    finally:
        if not file.closed:
            text.detach()  # it would close the file with itself


def _parquet_rows(file: BinaryIO) -> Iterator[tuple[int, Mapping[Any, Any]]]:
    number = 0
    try:
        found = arrow("pyarrow.parquet").ParquetFile(file)
        for batch in found.iter_batches(batch_size=_BATCH_ROWS):
            for row in batch.to_pylist():
                number += 1
                if isinstance(row.get("occurred_at"), datetime):
                    row["occurred_at"] = row["occurred_at"].isoformat()
                yield number, row
    except (arrow().ArrowException, OSError) as error:
        raise InvalidArgument(f"it cannot be read as Parquet: {error}"[:300]) from None
