"""Consumer groups when members die, replies get lost, and servers restart or forget."""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial

import proxy as proxies
import pytest
from faults import Python, eventually, soon
from group_samples import (
    AT_ONCE,
    SOON_MS,
    Seen,
    fill,
    first_handlings,
    pending,
    serving,
    until,
)
from proxy import Fault, Proxy
from samples import noted, notes
from servers import AnyServer, Server

from eventstore import (
    CorruptEvent,
    EventStore,
    HistoryGap,
    LogRegressed,
    RecordedEvent,
    RunStoreError,
    Settings,
    StoreUnavailable,
    UnknownGroup,
)
from eventstore.groups import ConsumerGroup

IMPATIENT = Settings(append_timeout_ms=400, reply_timeout_ms=200, connect_timeout_ms=200)
ONE_IS_ENOUGH = pytest.mark.parametrize("server", ["valkey"], indirect=True)

MEMBER = """
import asyncio, sys
from eventstore import EventStore
from eventstore.groups import ConsumerGroup

async def handle(event):
    print(event.run_id, event.version, flush=True)
    await asyncio.sleep(0.001)

async def main(url, namespace, member):
    async with EventStore.open(url, namespace=namespace) as store:
        await ConsumerGroup(
            store, "g", handle, member=member, claim_after_ms=300, batch_events=64, concurrency=4
        ).run()

asyncio.run(main(*sys.argv[1:]))
"""


def place_of(line: str) -> tuple[str, int]:
    """Read what a member printed about one event."""
    run_id, version = line.split()
    return run_id, int(version)


class GroupProxy(Proxy):
    """A proxy that does to reads of a group what it is told; see ``Proxy``."""

    calls = (b"\r\nXREADGROUP\r\n",)


class _GroupExchange(proxies._Exchange):
    def _carry_call(self) -> bool:
        call = self._client.recv(proxies.CHUNK_BYTES)
        if any(word in call for word in GroupProxy.calls):
            self._fault = self._proxy.judge()
        if not call or self._fault is Fault.LOSE_CALL:
            return False
        self._upstream.sendall(call)
        return True


@pytest.fixture
def proxy(server: AnyServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[GroupProxy]:
    monkeypatch.setattr(proxies, "_Exchange", _GroupExchange)
    with GroupProxy(server.url) as between:
        yield between


# Members that die


async def test_what_a_killed_member_left_is_finished_by_another(
    store: EventStore, server: AnyServer, namespace: str
) -> None:
    # given a member that is killed in the middle
    expected = await fill(store, runs=50, each=10)
    await ConsumerGroup(store, "g", Seen(), create=True).run_once()  # makes the group
    server.forget_group = None  # type: ignore[attr-defined]
