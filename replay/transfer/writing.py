"""Writes events in each of the formats; memory does not grow with their number."""

from __future__ import annotations

import csv
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

import orjson

from eventstore.events import RecordedEvent, to_cloudevent
from replay.transfer.formats import Format, arrow
from replay.transfer.jsonl import FIELDS, write_line

GROUP_EVENTS = 10_000
"""So many events make a row group of a Parquet file; that many are held in memory."""
GROUP_BYTES = 67_108_864
"""The most bytes of ``data`` and ``meta`` that are held for one."""


class Writer(ABC):
    """Writes one event after the other to a sink."""

    def __init__(self, sink: BinaryIO) -> None:
        self._sink = sink

    @abstractmethod
    def write(self, event: RecordedEvent) -> None:
        """Write the next event."""

    def finish(self) -> None:  # noqa: B027 - most need nothing
        """Write what the end of the file needs; the sink stays open."""

    def abandon(self) -> None:  # noqa: B027 - the same
        """Write nothing any more, after an error."""


@contextmanager
def writing(sink: BinaryIO, kind: Format) -> Iterator[Writer]:
    """Give what writes events to a sink. Raises ``InvalidArgument`` where pyarrow is missing."""
    writer = _WRITERS[kind](sink)
    try:
        yield writer
        writer.finish()
    except BaseException:
        writer.abandon()
        raise


class _Lines(Writer):
    def write(self, event: RecordedEvent) -> None:
        self._sink.write(write_line(event))


class _CloudEvents(Writer):
    def write(self, event: RecordedEvent) -> None:
        self._sink.write(orjson.dumps(to_cloudevent(event), option=orjson.OPT_APPEND_NEWLINE))


class _Csv(Writer):
    def __init__(self, sink: BinaryIO) -> None:
        super().__init__(sink)
        self._rows = csv.writer(_Utf8(sink), lineterminator="\n")
        self._rows.writerow(FIELDS)

    def write(self, event: RecordedEvent) -> None:
        row = as_row(event)
        row["occurred_at"] = event.occurred_at.isoformat().replace("+00:00", "Z")
        self._rows.writerow([row[name] for name in FIELDS])


class _Utf8:
    """Writes text; unlike a ``TextIOWrapper`` it never closes the sink, on an error neither."""

    def __init__(self, sink: BinaryIO) -> None:
        self._sink = sink

    def write(self, text: str) -> None:
        self._sink.write(text.encode())


class _Parquet(Writer):
    def __init__(self, sink: BinaryIO) -> None:
        super().__init__(sink)
        self._arrow = pyarrow = arrow()
        self._schema = pyarrow.schema(
            [
                ("run_id", pyarrow.string()),
                ("workflow_id", pyarrow.string()),
                ("type", pyarrow.string()),
                ("data", pyarrow.string()),
                ("occurred_at", pyarrow.timestamp("us", tz="UTC")),
                ("meta", pyarrow.string()),
                ("id", pyarrow.string()),
                ("version", pyarrow.int64()),
                ("schema_version", pyarrow.int32()),
            ]
        )
        self._file = arrow("pyarrow.parquet").ParquetWriter(sink, self._schema)
        self._rows: list[dict[str, Any]] = []
        self._bytes = 0

    def write(self, event: RecordedEvent) -> None:
        row = as_row(event)
        self._rows.append(row)
        self._bytes += len(row["data"]) + len(row["meta"])
        if len(self._rows) >= GROUP_EVENTS or self._bytes >= GROUP_BYTES:
            self._flush()

    def finish(self) -> None:
        if self._rows:
            self._flush()
        self._file.close()

    def abandon(self) -> None:
        # Else it would write the end of a file when it is let go, to a sink that is closed.
        self._file.is_open = False

    def _flush(self) -> None:
        self._file.write_table(self._arrow.Table.from_pylist(self._rows, schema=self._schema))
        self._rows, self._bytes = [], 0


def as_row(event: RecordedEvent) -> dict[str, Any]:
    """Give an event's fields as columns: JSON as text."""
    fields = {name: getattr(event, name) for name in FIELDS}
    return fields | {name: orjson.dumps(fields[name]).decode() for name in ("data", "meta")}


_WRITERS: dict[Format, Callable[[BinaryIO], Writer]] = {
    "jsonl": _Lines,
    "csv": _Csv,
    "cloudevents": _CloudEvents,
    "parquet": _Parquet,
}
