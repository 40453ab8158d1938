"""The server's clock goes back, or a replica that lagged takes over with a clock behind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Launch, Opener
from consistency import assert_consistent
from faults import eventually
from samples import noted, notes, paused
from servers import OWN

from eventstore import LogRegressed
from eventstore.clock import from_ms

HOUR_MS = 3_600_000


@pytest.mark.parametrize("name", OWN)
async def test_positions_never_go_back_though_the_clock_does(
    open_any: Opener, launch: Launch, shim: Callable[[str], Path], name: str
) -> None:
    server = launch(name, preload=shim("slowclock"), environment={"SKEW_MS": "0"})
    async with open_any(server.url) as store:
        before = [(await store.append(f"run-{n}", notes(2))).positions for n in range(20)]
        tails = await store.tails()
    server.kill()
    server.environment["SKEW_MS"] = str(-HOUR_MS)
    server.start()
    seconds, _ = server.admin.time()
    assert seconds * 1000 < before[0][0].ms - HOUR_MS / 2, "the clock did not go back"

    async with open_any(server.url) as store:
        after = [(await store.append(f"run-{n}", notes(2))).positions for n in range(20)]
        read = [event.position async for event in store.read_all()]
        later = [event.position async for event in store.read_all(after=tails)]
        await store.append("run-0", paused("p", 0))
        (due,) = await store.due(from_ms(before[0][0].ms + HOUR_MS))

    assert_consistent(server, "runs")
    for old, new in zip(before, after, strict=True):
        assert old[-1] < new[0]
    assert sorted(later) == sorted(position for positions in after for position in positions)
    assert len(read) == 80
    assert due.timer.ref == "p"


@pytest.mark.parametrize("name", OWN)
@pytest.mark.parametrize("more", [2, 5])
async def test_a_replica_that_missed_the_last_writes_and_is_promoted_is_told_to_every_reader(
    open_any: Opener, launch: Launch, shim: Callable[[str], Path], name: str, more: int
) -> None:
    primary = launch(name, tcp=True)
    replica = launch(
        name,
        tcp=True,
        options={"replicaof": f"127.0.0.1 {primary.port}"},
        preload=shim("slowclock"),
        environment={"SKEW_MS": "-20000"},
    )
    eventually(lambda: replica.admin.info("replication")["master_link_status"] == "up", 20)
    async with open_any(primary.url, durability="replicas:1", partitions=1) as store:
        await store.append("run", notes(3))
    replica.admin.execute_command("REPLICAOF NO ONE")  # from here on it misses what is written
    async with open_any(primary.url, partitions=None) as store:
        for number in range(2):
            await store.append("run", noted(f"lost {number}"))
        reached = await store.tails()
    primary.kill()

    async with open_any(replica.url, partitions=None) as store:
        with pytest.raises(LogRegressed):
            await store.read_log(reached, limit=10)
        for number in range(more):
            await store.append("run", noted(f"new {number}"))
        with pytest.raises(LogRegressed):
            await store.read_log(reached, limit=10)
        with pytest.raises(LogRegressed):
            assert [event async for event in store.read_all(reached)]

        texts = [event.data["text"] for event in await store.load("run")]
        assert texts == ["1", "2", "3", *(f"new {number}" for number in range(more))]
    assert_consistent(replica, "runs")
