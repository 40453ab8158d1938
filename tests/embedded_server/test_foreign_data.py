"""Other servers' data: read where they can be, refused where not."""

from __future__ import annotations

from pathlib import Path

import pytest

from embedded_server.ground import binary_named, get, put
from eventstore.errors import ServerRefused, StoreMismatch
from eventstore.server import EmbeddedServer


def test_data_of_a_newer_server_are_refused_by_one_that_cannot_read_them(folder: Path) -> None:
    # given
    with EmbeddedServer.join(folder, binary=binary_named("valkey")) as server:
        put(server, key="value")
    # when
    with pytest.raises(ServerRefused, match="newer server") as refusal:
        EmbeddedServer.join(folder, binary=binary_named("system"))
    # then
    assert "base.rdb" in str(refusal.value)
    with EmbeddedServer.join(folder, binary=binary_named("valkey")) as server:
        assert get(server, "key") == "value"


@pytest.mark.parametrize("writer", ["valkey", "system"])
def test_an_old_server_does_not_start_empty_beside_data_that_it_cannot_see(
    folder: Path, writer: str
) -> None:
    # given
    with EmbeddedServer.join(folder, binary=binary_named(writer)) as server:
        put(server, key="value")
    # when
    with pytest.raises(StoreMismatch, match="would start without these data"):
        EmbeddedServer.join(folder, binary=binary_named("redis 6.2"))
    # then
    with EmbeddedServer.join(folder, binary=binary_named(writer)) as server:
        assert get(server, "key") == "value"


@pytest.mark.parametrize("reader", ["valkey", "system"])
def test_data_of_an_older_server_are_taken_over(folder: Path, reader: str) -> None:
    with EmbeddedServer.join(folder, binary=binary_named("redis 6.2")) as server:
        put(server, key="value")
    with EmbeddedServer.join(folder, binary=binary_named(reader)) as server:
        assert get(server, "key") == "value"
