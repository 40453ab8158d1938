"""What is missing or changed in the server is told, never passed over in silence."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import pytest
from conftest import Opener
from faults import soon
from samples import noted, notes
from servers import AnyServer, Server

from eventstore import CorruptEvent, EventStore, HistoryGap, LogRegressed, Position, Settings

PAGES = [2, 500]
ONE_PAGE = pytest.mark.parametrize("narrow", [500], indirect=True)


@pytest.fixture(params=PAGES)
async def narrow(
    request: pytest.FixtureRequest, open_any: Opener, server: AnyServer, namespace: str
) -> AsyncIterator[EventStore]:
    """Give a store of two partitions."""
    settings = Settings(page_events=request.param)
    async with open_any(server.url, namespace=namespace, partitions=2, settings=settings) as opened:
        yield opened


def rewrite(
    server: AnyServer,
    key: str,
    change: Callable[[str, dict[bytes, bytes]], tuple[str, dict[bytes, bytes]] | None],
) -> None:
    """Write a stream anew with each entry changed, or left out where the change gives None."""
    entries = server.admin.xrange(key)
    server.admin.delete(key)
    for entry_id, fields in entries:
        if changed := change(entry_id.decode(), fields):
            server.admin.xadd(key, changed[1], id=changed[0])


def flip(server: AnyServer, key: str, entry_id: str, field: bytes, bit: int) -> None:
    """Flip one bit in the first byte of a field."""

    def change(this: str, fields: dict[bytes, bytes]) -> tuple[str, dict[bytes, bytes]]:
        value = fields[field]
        if this == entry_id:
            fields |= {field: bytes([value[0] ^ bit]) + value[1:]}
        return this, fields

    rewrite(server, key, change)


async def read_all(store: EventStore) -> list[Position]:
    return [event.position async for event in store.read_all()]


async def read_log(store: EventStore) -> None:
    reached: dict[int, Position] = {}
    while events := await store.read_log(reached, limit=4):
        reached |= {event.position.partition: event.position for event in events}


@ONE_PAGE
@pytest.mark.parametrize("bit", [0x01, 0x80])
@pytest.mark.parametrize("field", [b"e", b"c", b"r", b"v", b"a", b"w"])
async def test_a_flipped_bit_in_the_log_is_noticed(
    narrow: EventStore, server: AnyServer, field: bytes, bit: int
) -> None:
    await narrow.append("run", [noted(workflow_id="flow"), *notes(3)])
    last = (await narrow.load("run"))[-1]
    key = narrow.operations.keys.log(last.position.partition)

    flip(server, key, last.position.entry_id, field, bit)

    for reading in (read_all, read_log):
        with pytest.raises(CorruptEvent):
            await reading(narrow)
    assert len(await narrow.load("run")) == 4


@ONE_PAGE
@pytest.mark.parametrize("bit", [0x01, 0x80])
@pytest.mark.parametrize("field", [b"e", b"c", b"p", b"a", b"w"])
async def test_a_flipped_bit_in_a_run_is_noticed(
    narrow: EventStore, server: AnyServer, field: bytes, bit: int
) -> None:
    await narrow.append("run", [noted(workflow_id="flow"), *notes(3)])
    await narrow.append("sound", notes(2))

    flip(server, narrow.operations.keys.run("run"), "3-0", field, bit)

    with pytest.raises(CorruptEvent) as caught:
        await narrow.load("run")
    assert "version 3 of run 'run'" in str(caught.value)
    assert [e.version async for e in narrow.read_run("run", limit=2)] == [1, 2]
    assert len(await narrow.load("sound")) == 2


async def test_a_byte_flipped_in_the_append_only_file_is_noticed_after_a_restart(
    own_server: Server,
) -> None:
    async with EventStore.open(own_server.url) as store:
        await store.append("run", noted("precious"))
    own_server.stop()
    files = [path for path in own_server.data.rglob("*.aof") if b"precious" in path.read_bytes()]
    for path in files:
        path.write_bytes(path.read_bytes().replace(b"precious", b"precioas"))
    own_server.start()

    async with EventStore.open(own_server.url) as store:
        with pytest.raises(CorruptEvent):
            await store.load("run")
        with pytest.raises(CorruptEvent):
            await read_all(store)
    assert files


@pytest.mark.parametrize("version", [1, 3, 5])
async def test_an_event_missing_in_a_run_is_a_gap(
    narrow: EventStore, server: AnyServer, version: int
) -> None:
    await narrow.append("run", notes(5))

    server.admin.xdel(narrow.operations.keys.run("run"), f"{version}-0")

    with pytest.raises(HistoryGap):
        await narrow.load("run")
    with pytest.raises(HistoryGap):
        assert [e async for e in narrow.read_run("run", backwards=True)]
    later = narrow.read_run("run", after=version)
    assert [event.version async for event in later] == list(range(version + 1, 6))


async def test_a_run_whose_stream_was_trimmed_or_deleted_is_a_gap(
    narrow: EventStore, server: AnyServer
) -> None:
    await narrow.append("run", notes(5))
    key = narrow.operations.keys.run("run")

    server.admin.xtrim(key, maxlen=2, approximate=False)
    with pytest.raises(HistoryGap):
        await narrow.load("run")
    assert [event.version for event in await narrow.load("run", after=3)] == [4, 5]

    server.admin.delete(key)
    with pytest.raises(HistoryGap):
        await narrow.load("run")


@pytest.mark.parametrize("missing", [0, 2, 4])
async def test_an_event_missing_in_the_log_is_a_gap(
    narrow: EventStore, server: AnyServer, missing: int
) -> None:
    positions = (await narrow.append("run", notes(5))).positions
    key = narrow.operations.keys.log(positions[0].partition)

    server.admin.xdel(key, positions[missing].entry_id)

    with pytest.raises(HistoryGap):
        await read_all(narrow)
    await narrow.append("run", noted("a follower learns it at the latest now"))
    with pytest.raises((HistoryGap, LogRegressed)):
        await read_log(narrow)


async def test_a_gap_is_noticed_in_every_partition_after_a_single_position(
    narrow: EventStore, server: AnyServer
) -> None:
    keys = narrow.operations.keys
    first, second = (next(r for r in map(str, range(99)) if keys.partition_of(r) == p)
                     for p in (0, 1))  # fmt: skip
    (reached,) = (await narrow.append(first, noted())).positions
    positions = (await narrow.append(second, notes(4))).positions

    server.admin.xdel(keys.log(1), positions[1].entry_id)

    with pytest.raises(HistoryGap):
        assert [event async for event in narrow.read_all(after=reached)]


async def test_a_trimmed_log_is_a_gap_for_those_who_have_not_read_it(
    narrow: EventStore, server: AnyServer
) -> None:
    positions = (await narrow.append("run", notes(5))).positions
    partition = positions[0].partition

    server.admin.xtrim(narrow.operations.keys.log(partition), maxlen=2, approximate=False)

    with pytest.raises(HistoryGap):
        await read_all(narrow)
    reached = {partition: positions[2]}
    assert [e.version async for e in narrow.read_all(after=reached)] == [4, 5]
    assert [e.version for e in await narrow.read_log(reached, limit=9)] == [4, 5]


async def test_a_log_that_ends_before_what_was_read_has_regressed(narrow: EventStore) -> None:
    (reached,) = (await narrow.append("run", noted())).positions
    beyond = reached._replace(ms=reached.ms + 1, n=reached.n + 1)

    for reading in (
        narrow.read_log({beyond.partition: beyond}, limit=10),
        narrow.read_log({beyond.partition: beyond}, limit=10, block_ms=1),
        _listed(narrow, beyond),
    ):
        with pytest.raises(LogRegressed):
            await reading


async def _listed(store: EventStore, after: Position) -> None:
    assert [event async for event in store.read_all(after=after)]


async def test_a_lost_tail_that_others_replaced_is_a_regression(
    narrow: EventStore, server: AnyServer
) -> None:
    """As after a failover to a replica that lagged and whose clock is behind."""
    for _ in range(3):
        (reached,) = (await narrow.append("run", noted())).positions
        await soon(lambda: now_ms(server) > reached.ms + 1)  # noqa: B023 - called at once
    log, lower = narrow.operations.keys.log(reached.partition), f"{reached.ms - 1}-3"
    rewrite(server, log, lambda i, f: (lower if i == reached.entry_id else i, f))
    server.admin.set(narrow.operations.keys.tail(reached.partition), lower)
    await narrow.append("run", noted("after the failover"))

    with pytest.raises(LogRegressed):
        await narrow.read_log({reached.partition: reached}, limit=10)
    with pytest.raises(LogRegressed):
        await _listed(narrow, reached)


def now_ms(server: AnyServer) -> int:
    seconds, micros = server.admin.time()
    return int(seconds * 1000 + micros // 1000)
