"""A store of two partitions, its groups in both forms, and a hand on what the server holds."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, cast

import pytest
from conftest import InThreads, Opener
from servers import AnyServer

from eventstore import EventStore
from eventstore.groups.status import Groups, SyncGroups
from group_status.bench import Bench


@pytest.fixture
async def store(open_any: Opener, server: AnyServer, namespace: str) -> AsyncIterator[EventStore]:
    """Give a store of two partitions, once asyncio and once blocking."""
    async with open_any(server.url, namespace=namespace, partitions=2) as opened:
        yield opened


@pytest.fixture
def groups(store: EventStore) -> Groups:
    """Give ``Groups`` or, behind the same face, ``SyncGroups``."""
    if isinstance(store, InThreads):
        return cast("Groups", InThreads(cast("Any", SyncGroups(store._blocking))))
    return Groups(store)


@pytest.fixture
def bench(store: EventStore, server: AnyServer) -> Bench:
    """Give what makes groups by hand."""
    return Bench(store, server.admin)
