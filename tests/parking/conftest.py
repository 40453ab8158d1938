"""A group with an owner that no service stands behind."""

from __future__ import annotations

import pytest
from servers import AnyServer

from eventstore import SyncEventStore
from parking.fake_owner import FakeOwner


@pytest.fixture
def owner(sync_store: SyncEventStore, server: AnyServer) -> FakeOwner:
    return FakeOwner(sync_store, server).create_group().take()
