"""What the same work costs without us: redis-py, orjson and sqlite3 on the same bytes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import redis
from redis.asyncio import BlockingConnectionPool, Redis

PIPELINE = 50
"""Calls that floor a sends together."""
STREAM = "floor-stream"


def xadd_pipelined(client: redis.Redis, encoded: Sequence[bytes]) -> int:
    """Floor a: raw XADD in pipelines, without transactions."""
    for start in range(0, len(encoded), PIPELINE):
        pipeline = client.pipeline(transaction=False)
        for event in encoded[start : start + PIPELINE]:
            pipeline.xadd(STREAM, {"e": event})
        pipeline.execute()
    return len(encoded)


async def xadd_pipelined_async(client: Redis, encoded: Sequence[bytes]) -> int:
    """Do floor a with asyncio."""
    for start in range(0, len(encoded), PIPELINE):
        pipeline = client.pipeline(transaction=False)
        for event in encoded[start : start + PIPELINE]:
            pipeline.xadd(STREAM, {"e": event})
        await pipeline.execute()
    return len(encoded)


def xadd_each(client: redis.Redis, encoded: Sequence[bytes]) -> int:
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


def wide_client(url: str, connections: int) -> Redis:
    """Make an asyncio client whose calls wait for a connection instead of failing."""
    pool = BlockingConnectionPool.from_url(
        url, max_connections=connections, timeout=None, protocol=2
    )
    return Redis.from_pool(pool)
