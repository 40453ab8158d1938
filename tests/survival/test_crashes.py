"""Servers and clients that die, sleep or forget in the middle of appends."""

from __future__ import annotations

import asyncio
import threading

import pytest
from conftest import Launch, Opener
from consistency import assert_consistent
from faults import Python, eventually, soon
from samples import noted, notes
from servers import OWN, AnyServer, Server

from eventstore import (
    AppendResult,
    EventStore,
    OutcomeUnknown,
    ServerRefused,
    Settings,
    StoreUnavailable,
    SyncEventStore,
)

WORKERS = 6
PATIENT = Settings(reply_timeout_ms=300, retry_pause_max_ms=50)
Acknowledged = dict[tuple[str, int], str]
"""What was acknowledged: by run and version, the id of the event."""


class Writers:
    """Tasks that append to a run each, with the exact expected version, until told to stop."""

    def __init__(self, store: EventStore, each: int = 2) -> None:
        self.acknowledged: Acknowledged = {}
        self._store = store
        self._each = each
        self._enough = False
        self._tasks = [asyncio.create_task(self._write(f"run-{n}")) for n in range(WORKERS)]

    async def _write(self, run_id: str) -> None:
        version = 0
        while not self._enough:
            events = notes(self._each)
            result = await self._store.append(run_id, events, expected=version)
            assert result.first_version == version + 1
            version = result.last_version
            for place, event in enumerate(events):
                self.acknowledged[run_id, result.first_version + place] = event.id

    async def have_written(self, more: int) -> None:
        """Wait until so many more events are acknowledged; fails when a writer failed."""
        wanted = len(self.acknowledged) + more
        await soon(lambda: len(self.acknowledged) >= wanted or any(t.done() for t in self._tasks))
        for task in self._tasks:
            if task.done():
                task.result()

    async def stop(self) -> Acknowledged:
        self._enough = True
        await asyncio.gather(*self._tasks)
        return self.acknowledged


def stored(server: AnyServer, namespace: str = "runs") -> Acknowledged:
    """What the server holds, after all its structures were checked against each other."""
    return {
        (run_id, entry.version): entry.event["id"]
        for run_id, entries in assert_consistent(server, namespace).items()
        for entry in entries
    }


async def test_a_killed_server_that_comes_back_has_all_that_was_acknowledged_once(
    open_any: Opener, own_server: Server
) -> None:
    async with open_any(own_server.url, settings=PATIENT) as store:
        writers = Writers(store)
        for _ in range(3):
            await writers.have_written(40)
            await asyncio.to_thread(own_server.restart)
        await writers.have_written(40)
        acknowledged = await writers.stop()

    assert stored(own_server) == acknowledged


async def test_a_server_that_sleeps_past_the_time_out_and_wakes_writes_nothing_twice(
    open_any: Opener, own_server: Server
) -> None:
    async with open_any(own_server.url, settings=PATIENT) as store:
        writers = Writers(store)
        await writers.have_written(40)
        own_server.pause()
        waking = threading.Timer(0.8, own_server.resume)
        waking.start()
        await writers.have_written(40)
        acknowledged = await writers.stop()
        waking.join()

    assert stored(own_server) == acknowledged


async def test_a_server_that_forgets_its_scripts_is_told_them_again(
    open_any: Opener, own_server: Server
) -> None:
    async with open_any(own_server.url) as store:
        writers = Writers(store)
        for _ in range(10):
            await writers.have_written(10)
            await asyncio.to_thread(own_server.admin.script_flush)
        acknowledged = await writers.stop()

    assert stored(own_server) == acknowledged


WRITE = """
import sys
from eventstore import NewEvent, SyncEventStore

with SyncEventStore.open(sys.argv[1], namespace=sys.argv[2]) as store:
    print("open", flush=True)
    for number in range(100_000):
        events = [NewEvent("note.taken", {"text": "x" * 1000}) for _ in range(50)]
        result = store.append(f"run-{number % 5}", events)
        print(result.run_id, result.first_version, events[0].id, flush=True)
"""


@pytest.mark.parametrize("after", [1, 7, 20])
def test_a_killed_client_leaves_nothing_half_written(
    server: AnyServer, namespace: str, after: int
) -> None:
    connections = len(server.admin.client_list())
    with Python(WRITE, server.url, namespace) as client:
        assert client.line() == "open"
        lines = [client.line() for _ in range(after)]
        lines += client.kill()
    eventually(lambda: len(server.admin.client_list()) == connections)

    histories = assert_consistent(server, namespace)
    for run_id, first, event_id in map(str.split, lines):
        assert histories[run_id][int(first) - 1].event["id"] == event_id
    for entries in histories.values():
        for start in range(0, len(entries), 50):
            append_ids = [entry.append_id for entry in entries[start : start + 50]]
            assert len(append_ids) == 50
            assert len(set(append_ids)) == 1


async def test_memory_that_runs_out_is_told_and_leaves_nothing_half_written(
    open_any: Opener, own_server: Server
) -> None:
    async with open_any(own_server.url) as store:
        await store.append("run", noted(), idempotency_key="k")
        used = own_server.admin.info("memory")["used_memory"]
        own_server.admin.config_set("maxmemory", used // 2)  # what is used may shrink a little
        before = stored(own_server)

        for events in (notes(1), notes(100)):
            with pytest.raises(ServerRefused, match="memory"):
                await store.append("run", events)
        outcomes = await store.append_many([(f"run-{n}", notes(3)) for n in range(20)])
        assert {type(outcome) for outcome in outcomes} == {ServerRefused}
        assert len(await store.load("run")) == 1
        assert stored(own_server) == before

        own_server.admin.config_set("maxmemory", 0)
        assert (await store.append("run", noted())).last_version == 2


async def test_memory_that_runs_out_on_the_way_writes_each_append_whole_or_not_at_all(
    open_any: Opener, own_server: Server
) -> None:
    async with open_any(own_server.url) as store:
        await store.append("run", noted())
        limit = own_server.admin.info("memory")["used_memory"] + 300_000
        own_server.admin.config_set("maxmemory", limit)

        events = notes(10)
        outcomes = await store.append_many([(f"run-{n}", events) for n in range(300)])

    kinds = {type(outcome) for outcome in outcomes}
    assert kinds == {AppendResult, ServerRefused}
    histories = assert_consistent(own_server, "runs")
    for number, outcome in enumerate(outcomes):
        assert (f"run-{number}" in histories) is isinstance(outcome, AppendResult)


@pytest.fixture(params=OWN)
def two(request: pytest.FixtureRequest, launch: Launch) -> tuple[Server, Server]:
    """Give a server and a replica of it."""
    primary = launch(request.param, tcp=True)
    options = {"replicaof": f"127.0.0.1 {primary.port}"}
    replica = launch(request.param, tcp=True, options=options)
    eventually(lambda: replica.admin.info("replication")["master_link_status"] == "up", 20)
    return primary, replica


async def test_a_replica_is_waited_for_until_it_is_promoted(
    open_any: Opener, two: tuple[Server, Server]
) -> None:
    primary, replica = two
    async with open_any(primary.url, durability="replicas:1") as store:
        first = await store.append("run", notes(2), idempotency_key="k")

    hasty = Settings(append_timeout_ms=300)
    async with open_any(replica.url, settings=hasty) as store:
        assert len(await store.load("run")) == 2
        with pytest.raises(StoreUnavailable, match="READONLY"):
            await store.append("run", noted())
        with pytest.raises(OutcomeUnknown):
            await store.append("run", noted(), append_id="a doubt")

    async with open_any(replica.url) as store:
        waiting = asyncio.create_task(store.append("run", noted("promoted"), expected=2))
        again = asyncio.create_task(store.append("run", notes(2), idempotency_key="k"))
        threading.Timer(0.3, lambda: replica.admin.execute_command("REPLICAOF NO ONE")).start()
        assert (await waiting).last_version == 3
        assert ((await again).positions, (await again).deduplicated) == (first.positions, True)

    assert len(stored(replica)) == 3


async def test_a_store_opened_on_a_replica_waits_until_it_is_promoted(
    open_any: Opener, two: tuple[Server, Server]
) -> None:
    _, replica = two
    with pytest.raises(StoreUnavailable, match="read only"):
        async with open_any(replica.url, settings=Settings(append_timeout_ms=300)):
            pass

    threading.Timer(0.3, lambda: replica.admin.execute_command("REPLICAOF NO ONE")).start()
    async with open_any(replica.url) as store:
        assert (await store.append("run", noted())).last_version == 1


async def test_a_thread_that_is_interrupted_while_it_sends_leaves_the_others_their_appends(
    sync_store: SyncEventStore, server: AnyServer, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    executor = sync_store._executor
    line = executor._line(blocking=False)
    exchange = line.exchange

    def interrupted(*_: object) -> None:
        monkeypatch.setattr(line, "exchange", exchange)
        raise KeyboardInterrupt

    monkeypatch.setattr(line, "exchange", interrupted)
    outcomes: dict[int, object] = {}

    def append(number: int) -> None:
        try:
            outcomes[number] = sync_store.append(f"run-{number}", noted())
        except BaseException as error:  # noqa: BLE001 - that is what is looked at
            outcomes[number] = error

    threads = [threading.Thread(target=append, args=(n,), daemon=True) for n in range(4)]
    with executor._sending:
        for thread in threads:
            thread.start()
        eventually(lambda: len(executor._queue) == 4)  # type: ignore[arg-type]
    for thread in threads:
        thread.join(10)

    assert not [thread for thread in threads if thread.is_alive()]
    kinds = [type(outcome) for outcome in outcomes.values()]
    assert kinds.count(KeyboardInterrupt) == 1
    assert kinds.count(AppendResult) == 3
    for number, outcome in outcomes.items():
        if isinstance(outcome, AppendResult):
            assert len(assert_consistent(server, namespace)[f"run-{number}"]) == 1


async def test_an_error_that_nobody_foresaw_ends_one_batch_and_not_the_store(
    store: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipe = store._executor._sender._pipe  # type: ignore[union-attr]

    def broken(calls: object) -> None:
        monkeypatch.undo()
        raise RuntimeError("a bug")

    monkeypatch.setattr(pipe, "write", broken)

    with pytest.raises(OutcomeUnknown):
        await asyncio.wait_for(store.append("run", noted()), 5)
    assert (await asyncio.wait_for(store.append("run", noted()), 5)).last_version == 1
