"""How safe an append is before it counts: what was asked for, or ``NotDurable``."""

from __future__ import annotations

import pickle
import threading
from collections.abc import Iterator

import pytest
from conftest import Opener, launching
from consistency import assert_consistent
from faults import eventually
from samples import noted, notes
from servers import OWN, Server

from eventstore import AppendResult, NotDurable, ServerRefused, Settings, WrongExpectedVersion
from eventstore.transport.durability import waits_for_disk

BRIEF = Settings(durability_timeout_ms=100)


@pytest.fixture(scope="module", params=OWN)
def pair(request: pytest.FixtureRequest) -> Iterator[tuple[Server, Server]]:
    """Give a server and a replica of it that has caught up."""
    with launching() as launch:
        primary = launch(request.param, tcp=True)
        options = {"replicaof": f"127.0.0.1 {primary.port}"}
        replica = launch(request.param, tcp=True, options=options)
        eventually(lambda: replica.admin.info("replication")["master_link_status"] == "up", 20)
        yield primary, replica


@pytest.fixture
def primary(pair: tuple[Server, Server]) -> Server:
    return pair[0]


@pytest.fixture
def replica(pair: tuple[Server, Server]) -> Iterator[Server]:
    """Give the replica, which the test may put to sleep."""
    yield pair[1]
    pair[1].resume()


async def test_an_append_waits_until_the_replica_has_it(
    open_any: Opener, primary: Server, replica: Server, namespace: str
) -> None:
    async with open_any(primary.url, namespace=namespace, durability="replicas:1") as store:
        await store.append("run", notes(3))

        assert_consistent(replica, namespace)
        assert replica.admin.xlen(store.operations.keys.run("run")) == 3


async def test_too_few_replicas_is_an_error_that_tells_where_the_events_stand(
    open_any: Opener, primary: Server, replica: Server, namespace: str
) -> None:
    async with open_any(
        primary.url, namespace=namespace, durability="replicas:2", settings=BRIEF
    ) as store:
        with pytest.raises(NotDurable) as caught:
            await store.append("run", notes(2))

        error = pickle.loads(pickle.dumps(caught.value))  # noqa: S301 - our own
        assert (error.run_id, error.wanted, error.acknowledged) == ("run", "replicas:2", 1)
        stored = [event.position for event in await store.load("run")]
        assert list(error.positions) == list(error.result.positions) == stored


async def test_a_replica_that_sleeps_confirms_nothing(
    open_any: Opener, primary: Server, replica: Server, namespace: str
) -> None:
    async with open_any(
        primary.url, namespace=namespace, durability="replicas:1", settings=BRIEF
    ) as store:
        assert isinstance(await store.append("run", noted()), AppendResult)
        replica.pause()

        with pytest.raises(NotDurable):
            await store.append("run", noted())
        with pytest.raises(NotDurable):
            await store.append("run", noted("keyed"), idempotency_key="k")
        with pytest.raises(WrongExpectedVersion):
            await store.append("run", noted(), expected=0)

        replica.resume()
        again = await store.append("run", noted("keyed"), idempotency_key="k")
        assert (again.last_version, again.deduplicated) == (3, True)


async def test_a_repeated_append_is_confirmed_as_the_first_was(
    open_any: Opener, primary: Server, replica: Server, namespace: str
) -> None:
    """A server has nothing to wait for on a line that wrote nothing: the repeat must write."""
    options = {"namespace": namespace, "durability": "replicas:1", "settings": BRIEF}
    async with open_any(primary.url, **options) as store:
        await store.append("run", noted(), append_id="a", idempotency_key="k")
        replica.pause()
        with pytest.raises(NotDurable):
            await store.append("run", noted("more"), append_id="b", idempotency_key="l")

    for again in ({"append_id": "b"}, {"idempotency_key": "l"}):
        async with open_any(primary.url, **options) as store:
            with pytest.raises(NotDurable):
                await store.append("run", noted("more"), **again)

    replica.resume()
    async with open_any(primary.url, **options) as store:
        for again in ({"append_id": "b"}, {"idempotency_key": "l"}):
            result = await store.append("run", noted("more"), **again)
            assert (result.last_version, result.deduplicated) == (2, True)


async def test_a_script_that_had_to_be_loaded_again_is_confirmed_all_the_same(
    open_any: Opener, primary: Server, replica: Server, namespace: str
) -> None:
    async with open_any(
        primary.url, namespace=namespace, durability="replicas:1", settings=BRIEF
    ) as store:
        await store.append("run", noted())
        replica.pause()
        primary.admin.script_flush()

        with pytest.raises(NotDurable):
            await store.append("run", noted())


async def test_confirmations_may_take_longer_than_replies(
    open_any: Opener, primary: Server, replica: Server, namespace: str
) -> None:
    patient = Settings(durability_timeout_ms=500, reply_timeout_ms=150, append_timeout_ms=3000)
    async with open_any(
        primary.url, namespace=namespace, durability="replicas:1", settings=patient
    ) as store:
        replica.pause()
        with pytest.raises(NotDurable):
            await store.append("run", noted())

        waking = threading.Timer(0.3, replica.resume)
        waking.start()
        assert (await store.append("run", noted())).last_version == 2
        waking.join()


async def test_a_server_that_syncs_always_promises_its_disk(
    open_any: Opener, own_server: Server
) -> None:
    async with open_any(own_server.url, durability="fsync") as store:
        assert (await store.append("run", noted())).last_version == 1


@pytest.mark.parametrize(("option", "value"), [("appendonly", "no"), ("appendfsync", "no")])
async def test_a_server_that_cannot_promise_its_disk_is_refused(
    open_any: Opener, own_server: Server, option: str, value: str
) -> None:
    own_server.admin.config_set(option, value)

    with pytest.raises(ServerRefused, match=f"{option} {value}"):
        async with open_any(own_server.url, durability="fsync"):
            pass

    async with open_any(own_server.url) as store:
        await store.append("run", noted())


@pytest.mark.parametrize(
    ("version", "valkey", "keeps_its_word"),
    [
        ((6, 2, 14), False, False),
        ((7, 0, 15), False, False),
        ((7, 2, 0), False, True),
        ((7, 4, 0), False, False),
        ((7, 4, 2), False, False),
        ((7, 4, 3), False, True),
        ((8, 2, 1), False, True),
        ((7, 2, 5), True, False),
        ((8, 0, 0), True, False),
        ((9, 1, 2), True, False),
    ],
)
def test_waiting_for_the_disk_is_trusted_only_where_it_keeps_its_word(
    version: tuple[int, ...], valkey: bool, keeps_its_word: bool
) -> None:
    assert waits_for_disk(version, valkey=valkey) is keeps_its_word
