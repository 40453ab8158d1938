"""What tests of faults share."""

from __future__ import annotations

import pytest
from group_samples import Seen
from samples import notes
from servers import AnyServer

from eventstore import EventStore, Settings
from eventstore.groups import ConsumerGroup

IMPATIENT = Settings(append_timeout_ms=400, reply_timeout_ms=200, connect_timeout_ms=200)
ONE_IS_ENOUGH = pytest.mark.parametrize("server", ["valkey"], indirect=True)


def idle_ms(server: AnyServer, log: str) -> int:
    found = server.admin.xpending_range(log, "g", "-", "+", 1)
    return int(found[0]["time_since_delivered"]) if found else 0


async def leave_pending(
    store: EventStore, server: AnyServer, run_id: str, member: str, count: int = 5
) -> str:
    """Append events and have them delivered to a member; give the log they are in."""
    await store.append(run_id, notes(count))
    await make_group(store)
    log = store.operations.keys.log(store.operations.keys.partition_of(run_id))
    server.admin.xreadgroup("g", member, {log: ">"})
    return log


async def make_group(store: EventStore) -> None:
    """Make a group without taking anything."""
    group = ConsumerGroup(store, "g", Seen(), create=True)
    await group._joined()
    await group.stop()


def server_ms(server: AnyServer) -> int:
    seconds, microseconds = server.admin.time()
    return int(seconds) * 1000 + int(microseconds) // 1000
