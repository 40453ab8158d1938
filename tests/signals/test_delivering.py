"""Signals reach runs, are kept in order, and end the pauses that wait for them."""

from __future__ import annotations

import hashlib
from typing import Any

import orjson
import pytest
from consistency import assert_consistent
from replaying import HOUR, Workers, begin, control, restorer, server_now, timers, travel, types

from eventstore import (
    IdempotencyConflict,
    InvalidArgument,
    NewEvent,
    RunClosed,
    RunNotFound,
    Settings,
    SignalBufferFull,
)
from replay import RunControl, SyncRunControl
from signals.watched import assert_indexed

PAID = [{"type": "paid", "conditions": [{"field": "order", "op": "==", "value": 7}]}]
NO_WINDOW = {"state": {"step": 1}, "resume_at": "next", "window": None, "on_expiry": "park"}


async def wait(store: Any, run_id: str, wait_for: Any = None, **options: Any) -> Any:
    """Let a run wait for signals, beginning it."""
    await begin(store, run_id)
    given = {**NO_WINDOW, "pause_id": "p", "wait_for": wait_for or PAID, **options}
    return await control(store).pause(run_id, **given)


async def test_a_signal_ends_the_pause_that_waits_for_it_in_one_append(
    any_store: Any, server: Any, namespace: str
) -> None:
    # given two runs that wait for different orders
    await wait(any_store, "one")
    other = [{"type": "paid", "conditions": [{"field": "order", "op": "==", "value": 8}]}]
    await wait(any_store, "two", other)
    # when one of the orders is paid
    delivery = await control(any_store).deliver("paid", {"order": 7}, actor="shop")
    # then that run goes on, and its watch is gone together with the pause
    (delivered,) = delivery.runs
    assert (delivered.run_id, delivered.outcome, delivered.pause_id) == ("one", "resumed", "p")
    received, resumed = (await any_store.load("one"))[2:]
    assert (received.type, received.data) == (
        "signal.received", {"type": "paid", "payload": {"order": 7}})  # fmt: skip
    assert resumed.type == "run.resumed"
    assert resumed.data == {
        "pause_id": "p", "cause": "signal", "patch": {}, "consumed": [received.id]}  # fmt: skip
    assert received.position.ms == resumed.position.ms
    context = delivered.context
    assert (context.cause, context.version, context.resume_at) == ("signal", 4, "next")
    assert [signal.payload for signal in context.signals] == [{"order": 7}]
    assert types(await any_store.load("two"))[2:] == []
    assert_indexed(server, namespace, {"two": 1})
    assert_consistent(server, namespace)


async def test_payloads_go_into_the_state_where_the_pause_asks(any_store: Any) -> None:
    await wait(any_store, "run", [{"type": "paid", "into": "payment"}])
    delivery = await control(any_store).deliver("paid", 990)
    assert delivery.resumed[0].state == {"step": 1, "payment": 990}
    state = await travel(any_store).state_at("run")
    assert (state.state, state.signals) == ({"step": 1, "payment": 990}, [])


async def test_signals_before_the_pause_are_kept_and_end_it_when_it_comes(any_store: Any) -> None:
    # given signals that came before anything waits, the second of which will fit
    await begin(any_store, "run")
    for order in (6, 7, 7):
        delivery = await control(any_store).deliver("paid", {"order": order}, run_id="run")
        assert [each.outcome for each in delivery.runs] == ["buffered"]
    # when the run pauses to wait
    given = {**NO_WINDOW, "wait_for": PAID}
    paused = await control(any_store).pause("run", pause_id="p", **given)
    # then it goes on at once with the earliest that fits, and the others stay for later
    assert paused.version == 5
    assert [signal.payload for signal in paused.context.signals] == [{"order": 7}]
    assert paused.context.version == 6
    state = await travel(any_store).state_at("run")
    assert [signal.payload for signal in state.signals] == [{"order": 6}, {"order": 7}]
    # and when it pauses again the next one is taken, and then none is left
    again = await control(any_store).pause("run", pause_id="q", **given)
    assert again.context.signals[0].version == 4
    third = await control(any_store).pause("run", pause_id="r", **given)
    assert third.context is None
    assert (await travel(any_store).state_at("run")).status == "paused"


async def test_all_waits_for_every_signal_and_consumes_each(any_store: Any) -> None:
    both = [{"type": "paid", "into": "payment"}, {"type": "packed"}]
    await wait(any_store, "run", both, wait_mode="all")
    service = control(any_store)
    assert (await service.deliver("packed", 1)).runs[0].outcome == "buffered"
    assert (await service.deliver("packed", 2)).runs[0].outcome == "buffered"
    context = (await service.deliver("paid", 3)).resumed[0]
    assert [signal.payload for signal in context.signals] == [1, 3]
    assert context.state == {"step": 1, "payment": 3}
    left = (await travel(any_store).state_at("run")).signals
    assert [signal.payload for signal in left] == [2]


async def test_a_watch_takes_signals_between_pauses_until_it_is_removed(
    any_store: Any, server: Any, namespace: str
) -> None:
    service = control(any_store)
    await begin(any_store, "run")
    rich = [{"field": "amount", "op": ">", "value": 100}]
    watched = await service.watch("run", "paid", rich)
    assert_indexed(server, namespace, {"run": 1})
    # when signals come, one of which does not fit
    assert (await service.deliver("paid", {"amount": 101})).count == 1
    assert (await service.deliver("paid", {"amount": 100})).count == 0
    assert (await service.deliver("paid", {"amount": "many"})).count == 0
    # then no more once the watch is gone
    assert await service.unwatch("run", watched.watch_id)
    assert not await service.unwatch("run", watched.watch_id)
    assert (await service.deliver("paid", {"amount": 102})).count == 0
    assert_indexed(server, namespace, {})
    state = await travel(any_store).state_at("run")
    assert [signal.payload for signal in state.signals] == [{"amount": 101}]
    assert types(await any_store.load("run"))[1:] == [
        "signal.watched", "signal.received", "signal.unwatched"]  # fmt: skip


async def test_a_watch_of_the_same_id_takes_the_place_of_the_other(
    any_store: Any, server: Any, namespace: str
) -> None:
    service = control(any_store)
    await begin(any_store, "run")
    await service.watch("run", "paid", watch_id="w")
    await service.watch("run", "packed", watch_id="w")
    assert_indexed(server, namespace, {"run": 1})
    assert (await service.deliver("paid")).count == 0
    assert (await service.deliver("packed")).count == 1


async def test_a_run_that_watches_twice_gets_a_signal_once(any_store: Any) -> None:
    await wait(any_store, "run")
    await control(any_store).watch("run", "paid")
    delivery = await control(any_store).deliver("paid", {"order": 7})
    assert [each.outcome for each in delivery.runs] == ["resumed"]


@pytest.mark.parametrize("end", ["run.completed", "run.failed", "run.aborted", "run.deleted"])
async def test_the_end_of_a_run_clears_its_watches(
    any_store: Any, server: Any, namespace: str, end: str
) -> None:
    await wait(any_store, "run", wait_timeout=100)
    await control(any_store).watch("run", "packed")
    assert_indexed(server, namespace, {"run": 2})
    data = {"error": {"type": "E", "message": "m"}} if end == "run.failed" else {}
    await any_store.append("run", NewEvent(end, data))
    assert_indexed(server, namespace, {})
    assert timers(server, namespace) == []
    assert (await control(any_store).deliver("paid", {"order": 7})).count == 0
    with pytest.raises(RunClosed):
        await control(any_store).deliver("paid", {"order": 7}, run_id="run")
    assert_consistent(server, namespace)


async def test_the_same_webhook_delivered_again_changes_nothing(any_store: Any) -> None:
    # given a run that goes on by a signal, and waits for the next such one
    service = control(any_store)
    await wait(any_store, "run")
    await service.deliver("paid", {"order": 7}, source_id="hook-1")
    await service.pause("run", pause_id="q", wait_for=PAID, **NO_WINDOW)
    before = await any_store.load("run")
    # when the webhook comes again, to whoever watches and to the run by name
    again = await service.deliver("paid", {"order": 7}, source_id="hook-1")
    named = await service.deliver("paid", {"order": 7}, run_id="run", source_id="hook-1")
    # then nothing changed, and who sent it is told
    assert (again.deduplicated, again.count, again.runs) == (True, 1, ())
    assert [(each.outcome, each.version) for each in named.runs] == [("duplicate", 3)]
    assert await any_store.load("run") == before
    # and another webhook is another one
    other = await service.deliver("paid", {"order": 7}, source_id="hook-2")
    assert [each.outcome for each in other.runs] == ["resumed"]


async def test_a_delivery_that_crashed_half_way_is_finished_by_its_repetition(
    any_store: Any,
) -> None:
    # given two of three runs that got a signal before its sender died
    service = control(any_store)
    for name in ("one", "two", "three"):
        await wait(any_store, name)
    for name in ("one", "two"):
        await service.deliver("paid", {"order": 7}, run_id=name, source_id="hook")
    await service.pause("one", pause_id="q", wait_for=PAID, **NO_WINDOW)
    # when it is delivered again
    delivery = await service.deliver("paid", {"order": 7}, source_id="hook")
    # then only the third got it, and the first not once more
    outcomes = {each.run_id: each.outcome for each in delivery.runs}
    assert outcomes == {"one": "duplicate", "three": "resumed"}
    for name in ("one", "two", "three"):
        assert types(await any_store.load(name)).count("signal.received") == 1


async def test_a_source_id_that_comes_with_another_payload_is_refused(any_store: Any) -> None:
    service = control(any_store)
    await wait(any_store, "run")
    await service.deliver("paid", {"order": 7}, source_id="hook")
    with pytest.raises(InvalidArgument, match="'hook'"):
        await service.deliver("paid", {"order": 8}, source_id="hook")
    with pytest.raises(IdempotencyConflict):
        await service.deliver("paid", {"order": 8}, run_id="run", source_id="hook")
    # but each type counts on its own
    assert (await service.deliver("packed", 1, run_id="run", source_id="hook")).count == 1


async def test_a_signal_that_nobody_watched_for_may_come_again(any_store: Any) -> None:
    service = control(any_store)
    assert (await service.deliver("paid", {"order": 7}, source_id="hook")).count == 0
    await wait(any_store, "run")
    assert (await service.deliver("paid", {"order": 7}, source_id="hook")).count == 1


async def test_a_patch_goes_into_a_running_runs_state_and_is_not_kept(any_store: Any) -> None:
    await begin(any_store, "run")
    delivery = await control(any_store).deliver("note", {"a": 1}, run_id="run", patch=True)
    assert [each.outcome for each in delivery.runs] == ["patched"]
    state = await travel(any_store).state_at("run")
    assert (state.state, state.signals) == ({"a": 1}, [])
    assert types(await any_store.load("run"))[1:] == ["signal.received", "run.patched"]


async def test_a_patch_that_ends_a_pause_goes_with_the_resume(any_store: Any) -> None:
    await wait(any_store, "run")
    delivery = await control(any_store).deliver("paid", {"order": 7}, patch=True)
    assert delivery.resumed[0].state == {"step": 1, "order": 7}
    assert types(await any_store.load("run"))[2:] == ["signal.received", "run.resumed"]


async def test_a_dry_run_tells_and_changes_nothing(any_store: Any, server: Any) -> None:
    await wait(any_store, "run")
    service = control(any_store)
    told = await service.deliver("paid", {"order": 7}, source_id="s", dry_run=True)
    assert [(each.run_id, each.outcome) for each in told.runs] == [("run", "resumed")]
    assert types(await any_store.load("run"))[2:] == []
    assert (await service.deliver("paid", {"order": 7}, source_id="s")).count == 1


async def test_several_pauses_of_a_run_each_get_their_signal(any_store: Any) -> None:
    await wait(any_store, "run", [{"type": "left"}], pause_id="l")
    service = control(any_store)
    await service.pause("run", pause_id="r", wait_for=[{"type": "right"}], **NO_WINDOW)
    assert (await service.deliver("right")).runs[0].pause_id == "r"
    state = await travel(any_store).state_at("run")
    assert (state.status, list(state.pauses)) == ("paused", ["l"])
    assert (await service.deliver("left")).runs[0].pause_id == "l"
    assert (await travel(any_store).state_at("run")).status == "running"


# Full buffers


@pytest.fixture
async def narrow(any_store: Any, server: Any, namespace: str, open_any: Any) -> Any:
    """Give a store whose runs keep two signals, with a run that keeps them."""
    async with open_any(
        server.url, namespace=namespace, settings=Settings(max_buffered_signals=2)
    ) as store:
        await begin(store, "run")
        for n in (1, 2):
            await control(store).deliver("paid", n, run_id="run")
        yield store


async def payloads(store: Any) -> list[Any]:
    return [signal.payload for signal in (await travel(store).state_at("run")).signals]


async def test_a_full_buffer_is_an_error_to_the_sender(narrow: Any) -> None:
    with pytest.raises(SignalBufferFull) as told:
        await control(narrow).deliver("paid", 3, run_id="run")
    assert (told.value.run_id, told.value.limit) == ("run", 2)
    assert await payloads(narrow) == [1, 2]
    # one that ends a pause needs no room
    await control(narrow).pause("run", wait_for=[{"type": "packed"}], **NO_WINDOW)
    assert (await control(narrow).deliver("packed", 3)).runs[0].outcome == "resumed"


async def test_the_oldest_is_dropped_by_rule_and_recorded(narrow: Any) -> None:
    delivery = await control(narrow).deliver("paid", 3, run_id="run", when_full="oldest")
    assert [each.outcome for each in delivery.runs] == ["buffered"]
    assert await payloads(narrow) == [2, 3]
    first, *_, last = (await narrow.load("run"))[1:]
    assert (last.type, last.data) == (
        "signal.dropped", {"rule": "oldest", "type": "paid", "event_id": first.id})  # fmt: skip


async def test_the_newest_is_dropped_by_rule_and_recorded(narrow: Any) -> None:
    for _ in range(2):
        delivery = await control(narrow).deliver(
            "paid", 3, run_id="run", when_full="newest", source_id="s"
        )
    assert [each.outcome for each in delivery.runs] == ["duplicate"]
    assert await payloads(narrow) == [1, 2]
    last = (await narrow.load("run"))[-1]
    assert (last.version, last.data) == (4, {"rule": "newest", "type": "paid", "source_id": "s"})


async def test_one_full_run_keeps_the_others_of_a_signal_from_nothing(narrow: Any) -> None:
    service = control(narrow)
    await service.watch("run", "paid")
    await wait(narrow, "other")
    delivery = await service.deliver("paid", {"order": 7}, source_id="hook")
    assert [each.run_id for each in delivery.runs] == ["other"]
    assert isinstance(delivery.refused["run"], SignalBufferFull)
    # and once there is room, the same signal reaches only the one that lacks it
    await service.pause("run", wait_for=[{"type": "paid"}], **NO_WINDOW)
    delivery = await service.deliver("paid", {"order": 7}, source_id="hook")
    assert [(each.run_id, each.outcome) for each in delivery.runs] == [("run", "buffered")]


# Time-outs and windows


async def test_a_pause_that_waited_long_enough_goes_on_without(
    any_store: Any, server: Any, namespace: str
) -> None:
    # given a pause whose time to wait is over, and whose window is not
    await wait(any_store, "run", wait_timeout=0, window=3_600)
    assert [timer.split("|")[0] for timer in timers(server, namespace)] == ["wait", "window"]
    # when a restorer comes by
    workers = Workers()
    counts = await restorer(any_store, workers).run_once()
    # then the run goes on with that cause, first by whoever holds its live context
    assert (counts.timed_out, workers.runs) == (1, [])
    (resumed,) = (await any_store.load("run"))[2:]
    assert resumed.data == {"pause_id": "p", "cause": "timeout", "patch": {}}
    assert_indexed(server, namespace, {})
    # and later by a worker
    await restorer(any_store, workers).run_once(now=await server_now(any_store) + HOUR)
    assert [context.cause for context in workers.contexts] == ["timeout"]
    assert timers(server, namespace) == []


async def test_a_time_out_after_the_window_restores_the_run(any_store: Any) -> None:
    await wait(any_store, "run", wait_timeout=0, window=0)
    workers = Workers()
    service = restorer(any_store, workers)
    while (await service.run_once()).due:
        pass
    assert sorted(types(await any_store.load("run"))[2:]) == [
        "run.restored", "run.resumed", "run.window_expired"]  # fmt: skip
    assert [(context.cause, context.restored) for context in workers.contexts] == [
        ("timeout", True)]  # fmt: skip


async def test_a_signal_after_the_window_restores_the_run_for_a_worker(any_store: Any) -> None:
    # given a run whose live context is gone
    await wait(any_store, "run", [{"type": "paid", "into": "paid"}], window=0)
    # when the signal comes, and then a restorer
    await control(any_store).deliver("paid", 7)
    workers = Workers()
    await restorer(any_store, workers).run_once()
    # then a worker has the run, with its signal
    assert types(await any_store.load("run"))[2:] == [
        "signal.received", "run.window_expired", "run.restored", "run.resumed"]  # fmt: skip
    (context,) = workers.contexts
    assert (context.cause, context.state) == ("signal", {"step": 1, "paid": 7})
    assert [signal.payload for signal in context.signals] == [7]


async def test_a_worker_with_the_live_context_goes_on_alone(any_store: Any) -> None:
    # given a run that a signal resumed inside its window, and whose worker went on
    await wait(any_store, "run", window=3_600)
    context = (await control(any_store).deliver("paid", {"order": 7})).resumed[0]
    await any_store.append(
        "run", NewEvent("node.started", {"node_id": "n"}), expected=context.version
    )
    # when the time to hand it over comes
    workers = Workers()
    await restorer(any_store, workers).run_once(now=await server_now(any_store) + HOUR)
    # then it is not handed to another
    assert workers.runs == []


# Bad input


async def test_an_unknown_run_is_told(any_store: Any) -> None:
    for call in (
        control(any_store).deliver("paid", run_id="nobody"),
        control(any_store).watch("nobody", "paid"),
        control(any_store).unwatch("nobody", "w"),
    ):
        with pytest.raises(RunNotFound):
            await call


@pytest.mark.parametrize("server", ["valkey"], indirect=True)
@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"wait_for": []}, "must name a signal"),
        ({"wait_for": "paid"}, "is a list"),
        ({"wait_for": {"type": "paid"}}, "is a list"),
        ({"wait_for": [{}]}, "type"),
        ({"wait_for": [{"type": ""}]}, "type"),
        ({"wait_for": [{"type": "a\nb"}]}, "type"),
        ({"wait_for": ["paid"]}, "wait_for"),
        ({"wait_for": [{"type": "a", "conditions": [{"field": "a", "op": "~"}]}]}, "op"),
        ({"wait_for": [{"type": "a", "conditions": [{"field": "a.", "op": "exists"}]}]}, "field"),
        ({"wait_for": [{"type": "a"}] * 101}, "wait_for"),
        ({"wait_for": [{"type": "a"}], "wait_mode": "some"}, "any or all"),
        ({"wait_for": [{"type": "a"}], "wait_timeout": -1}, "century"),
        ({"wait_for": [{"type": "a"}], "wait_timeout": "1 h"}, "seconds"),
    ],
)
async def test_a_pause_that_waits_for_nonsense_is_refused(
    any_store: Any, options: dict[str, Any], told: str
) -> None:
    await begin(any_store, "run")
    with pytest.raises(InvalidArgument, match=told):
        await control(any_store).pause("run", **NO_WINDOW, **options)
    assert len(await any_store.load("run")) == 1


@pytest.mark.parametrize("server", ["valkey"], indirect=True)
@pytest.mark.parametrize(
    ("arguments", "options", "told"),
    [
        (("",), {}, "type"),
        (("a\0b",), {}, "type"),
        ((7,), {}, "type"),
        (("paid", {1: 2}), {}, "payload"),
        (("paid", float("nan")), {}, "payload"),
        (("paid", object()), {}, "payload"),
        (("paid", 7), {"patch": True}, "object"),
        (("paid",), {"when_full": "both"}, "refuse, oldest or newest"),
        (("paid",), {"source_id": ""}, "source_id"),
        (("paid",), {"source_id": "a\nb"}, "source_id"),
        (("paid",), {"actor": ""}, "actor"),
        (("paid",), {"handover_ms": -1}, "handover_ms"),
        (("paid", "x" * 1_048_576), {}, "1048576"),
    ],
)
async def test_a_signal_that_is_none_is_refused(
    any_store: Any, arguments: Any, options: dict[str, Any], told: str
) -> None:
    await begin(any_store, "run")
    for named in ({}, {"run_id": "run"}):
        with pytest.raises(InvalidArgument, match=told):
            await control(any_store).deliver(*arguments, **named, **options)
    assert len(await any_store.load("run")) == 1


@pytest.mark.parametrize("server", ["valkey"], indirect=True)
async def test_a_run_has_so_many_watches_and_no_more(
    server: Any, namespace: str, open_any: Any
) -> None:
    async with open_any(server.url, namespace=namespace, settings=Settings(max_watches=2)) as store:
        await begin(store, "run")
        for name in ("a", "b", "b"):
            await control(store).watch("run", "paid", watch_id=name)
        with pytest.raises(InvalidArgument, match="max_watches"):
            await control(store).watch("run", "paid", watch_id="c")


@pytest.mark.parametrize("server", ["valkey"], indirect=True)
async def test_a_receipt_names_neither_run_nor_content(
    any_store: Any, server: Any, namespace: str
) -> None:
    await wait(any_store, "run-of-ann")
    await control(any_store).deliver("paid", {"order": 7}, source_id="hook")
    (key,) = [key for key in server.keys(namespace) if b":receipt:" in key]
    kept = server.admin.get(key)
    assert orjson.loads(kept).keys() == {"runs", "digest"}
    assert not [word for word in (b"ann", b"order", b"hook") if word in key + kept]
    plain = hashlib.blake2b(b'{"order":7}', digest_size=16).hexdigest()
    assert orjson.loads(kept)["digest"] != plain


def test_both_forms_have_the_same_signature() -> None:
    for name in ("watch", "unwatch", "deliver", "pause"):
        blocking = getattr(SyncRunControl, name).__annotations__
        assert getattr(RunControl, name).__annotations__ == blocking
