"""What the same work costs without us: redis-py, orjson and sqlite3, on the same bytes."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import orjson
from redis.asyncio import BlockingConnectionPool, Redis

from eventstore.keys import Keys

Client = Any
"""A redis-py client; its types tell of all shapes that a reply can have, so of none."""

PIPELINE_CALLS = 50
"""Calls that floor a sends together."""
GROUP_PAGE = 200
"""Entries of each stream that floor e reads at a time."""
STREAM = "bench-floor-stream"
XADD_PIPELINED = f"a: XADD, pipelines of {PIPELINE_CALLS}"
XADD_EACH = "b: XADD, one a round trip"


def xadd_pipelined(client: Client, encoded: Sequence[bytes]) -> int:
    """Floor a: raw XADD to one stream in pipelines, without transactions."""
    for start in range(0, len(encoded), PIPELINE_CALLS):
        pipeline = client.pipeline(transaction=False)
        for event in encoded[start : start + PIPELINE_CALLS]:
            pipeline.xadd(STREAM, {"e": event})
        pipeline.execute()
    return len(encoded)


async def xadd_pipelined_async(client: Redis, encoded: Sequence[bytes]) -> int:
    """Do floor a with asyncio."""
    for start in range(0, len(encoded), PIPELINE_CALLS):
        pipeline = client.pipeline(transaction=False)
        for event in encoded[start : start + PIPELINE_CALLS]:
            pipeline.xadd(STREAM, {"e": event})
        await pipeline.execute()
    return len(encoded)


def xadd_each(client: Client, encoded: Sequence[bytes]) -> int:
    """Floor b: raw XADD, one a round trip."""
    for event in encoded:
        client.xadd(STREAM, {"e": event})
    return len(encoded)


async def xadd_tasks(client: Redis, encoded: Sequence[bytes], tasks: int) -> int:
    """Floor c: raw XADD from many tasks at once, one call a task."""
    for start in range(0, len(encoded), tasks):
        group = encoded[start : start + tasks]
        await asyncio.gather(*(client.xadd(STREAM, {"e": event}) for event in group))
    return len(encoded)


def wide_client(url: str, connections: int, name: str | None = None) -> Redis:
    """Make an asyncio client whose calls wait for a free connection instead of failing."""
    pool = BlockingConnectionPool.from_url(
        url, max_connections=connections, timeout=None, protocol=2, client_name=name
    )
    return Redis.from_pool(pool)


def read_runs(client: Client, keys: Sequence[str]) -> int:
    """Floor d: XRANGE of each run stream, and orjson."""
    for key in keys:
        for _, fields in client.xrange(key):
            orjson.loads(fields[b"e"])
    return len(keys)


def project(
    client: Client, keys: Keys, path: Path, batch_events: int, synchronous: str = "NORMAL"
) -> int:
    """Read the whole log, load the JSON, and insert one row an event, in equal batches."""
    database = sqlite3.connect(path, isolation_level=None)
    database.execute("PRAGMA journal_mode = WAL")
    database.execute(f"PRAGMA synchronous = {synchronous}")
    database.execute(
        "CREATE TABLE events (run_id, version, type, event, PRIMARY KEY (run_id, version))"
    )
    done = 0
    for batch in _log_batches(client, keys, batch_events):
        rows = [_row(fields) for fields in batch]
        database.execute("BEGIN IMMEDIATE")
        database.executemany("INSERT INTO events VALUES (?, ?, ?, ?)", rows)
        database.execute("COMMIT")
        done += len(rows)
    database.close()
    return done


def _row(fields: dict[bytes, bytes]) -> tuple[Any, ...]:
    encoded = fields[b"e"]
    kind = orjson.loads(encoded)["type"]
    return fields[b"r"].decode(), int(fields[b"v"]), kind, encoded.decode()


def _log_batches(
    client: Client, keys: Keys, batch_events: int
) -> Iterable[list[dict[bytes, bytes]]]:
    """Read all partitions together, about as many events at a time as a projector takes."""
    after: dict[Any, Any] = {keys.log(p).encode(): "0-0" for p in range(keys.partitions)}
    each = -(-batch_events // keys.partitions)
    while reply := client.xread(after, count=each):
        batch = []
        for key, entries in reply:
            after[key] = entries[-1][0]
            batch += [fields for _, fields in entries]
        yield batch


def create_group(client: Client, keys: Keys, group: str) -> None:
    """Make a group on every partition's log."""
    for partition in range(keys.partitions):
        client.xgroup_create(keys.log(partition), group, id="0")


def consume(client: Client, keys: Keys, group: str) -> int:
    """Floor e: XREADGROUP over all partitions, orjson, and one XACK for each page."""
    streams: dict[Any, Any] = {keys.log(p): ">" for p in range(keys.partitions)}
    done = 0
    while reply := client.xreadgroup(group, "floor", streams, count=GROUP_PAGE):
        for key, entries in reply:
            for _, fields in entries:
                orjson.loads(fields[b"e"])
            client.xack(key, group, *(entry_id for entry_id, _ in entries))
            done += len(entries)
    return done
