"""Checks all that Redis holds of a namespace against each other."""

from __future__ import annotations

import hashlib
import zlib
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import orjson
from servers import AnyServer

ENDS = {"run.completed": b"closed", "run.failed": b"closed", "run.aborted": b"closed"}


@dataclass(frozen=True)
class Entry:
    """One entry of the log, as it lies there."""

    partition: int
    id: str
    run_id: str
    version: int
    append_id: str
    event: dict[str, Any]
    fields: dict[bytes, bytes]

    @property
    def place(self) -> tuple[int, int]:
        ms, _, n = self.id.partition("-")
        return int(ms), int(n)


def read_log(server: AnyServer, namespace: str) -> list[Entry]:
    """Every entry of the log, partition after partition, without the store's help."""
    partitions = int(server.admin.hget(f"{namespace}:meta", "partitions") or 0)
    return [
        Entry(
            partition,
            entry_id.decode(),
            fields[b"r"].decode(),
            int(fields[b"v"]),
            fields[b"a"].decode(),
            orjson.loads(fields[b"e"]),
            fields,
        )
        for partition in range(partitions)
        for entry_id, fields in server.admin.xrange(f"{{{namespace}:{partition}}}:log")
    ]


def assert_consistent(server: AnyServer, namespace: str) -> dict[str, list[Entry]]:
    """Check that log, tails, run streams, heads and timers tell the same story.

    Gives each run's entries of the log, in order.
    """
    log = read_log(server, namespace)
    runs: dict[str, list[Entry]] = defaultdict(list)
    partitions: dict[int, list[Entry]] = defaultdict(list)
    for entry in log:
        runs[entry.run_id].append(entry)
        partitions[entry.partition].append(entry)
    for partition, entries in partitions.items():
        _check_partition(server, f"{{{namespace}:{partition}}}", entries)
    expected = {f"{namespace}:meta"}
    for partition in partitions:
        expected |= {
            f"{{{namespace}:{partition}}}:{name}" for name in ("log", "tail", "due", "stalls")
        }
    for run_id, entries in runs.items():
        tag = f"{{{namespace}:{entries[0].partition}}}"
        assert entries[0].partition == zlib.crc32(run_id.encode()) % _partitions(server, namespace)
        expected |= {f"{tag}:run:{run_id}", f"{tag}:head:{run_id}"}
        _check_run(server, tag, run_id, entries)
    kinds = ("log", "tail", "due", "stalls", "run", "head")
    found = {key.decode() for key in server.keys(namespace)}
    stray = {key for key in found - expected if key.partition("}:")[2].split(":")[0] in kinds}
    assert not stray, f"keys that the log knows nothing of: {stray}"
    return dict(runs)


def _partitions(server: AnyServer, namespace: str) -> int:
    return int(server.admin.hget(f"{namespace}:meta", "partitions") or 0)


def _check_partition(server: AnyServer, tag: str, entries: list[Entry]) -> None:
    assert [entry.place[1] for entry in entries] == list(range(1, len(entries) + 1))
    assert [entry.place for entry in entries] == sorted(entry.place for entry in entries)
    assert server.admin.get(f"{tag}:tail") == entries[-1].id.encode()
    timers = {
        field[2:]
        for run_id in {entry.run_id for entry in entries}
        for field in server.admin.hkeys(f"{tag}:head:{run_id}")
        if field.startswith(b"t:")
    }
    due, stalls = (set(server.admin.zrange(f"{tag}:{name}", 0, -1)) for name in ("due", "stalls"))
    assert due | stalls == timers
    assert all(member.startswith((b"stall|", b"recovery|")) for member in stalls)
    assert not [member for member in due if member.startswith((b"stall|", b"recovery|"))]


def _check_run(server: AnyServer, tag: str, run_id: str, entries: list[Entry]) -> None:
    assert [entry.version for entry in entries] == list(range(1, len(entries) + 1)), run_id
    stored = server.admin.xrange(f"{tag}:run:{run_id}")
    assert [entry_id.decode() for entry_id, _ in stored] == [f"{e.version}-0" for e in entries]
    for entry, (_, fields) in zip(entries, stored, strict=True):
        assert entry.fields[b"c"] == _checksum(entry)
        assert fields == {
            **{name: value for name, value in entry.fields.items() if name not in (b"r", b"v")},
            b"p": entry.id.encode(),
        }
    _check_head(server.admin.hgetall(f"{tag}:head:{run_id}"), entries)


def _checksum(entry: Entry) -> bytes:
    ms, _, n = entry.id.partition("-")
    shared = f"{entry.run_id}\n{entry.append_id}".encode()
    total = zlib.crc32(shared + entry.fields[b"e"])
    total += 65537 * entry.version + 257 * int(n) + int(ms)
    if workflow_id := entry.fields.get(b"w"):
        total += int(hashlib.sha1(workflow_id, usedforsecurity=False).hexdigest()[:8], 16)
    return b"%08x" % (total % 2**32)


def _check_head(head: dict[bytes, bytes], entries: list[Entry]) -> None:
    state = b"open"
    for entry in entries:
        assert state == b"open" or entry.event["type"] == "run.deleted", "an event after the end"
        state = ENDS.get(entry.event["type"], state)
        if entry.event["type"] == "run.deleted":
            state = b"deleted"
    assert int(head[b"v"]) == len(entries)
    assert head[b"s"] == state
    if state != b"open":
        assert not [field for field in head if field.startswith(b"t:")], "a timer of an ended run"
    for field, value in head.items():
        if field.startswith(b"i:"):
            first, last, position, _ = value.decode().split()
            written = entries[int(first) - 1 : int(last)]
            assert written[0].id == position
            assert len({entry.append_id for entry in written}) == 1
