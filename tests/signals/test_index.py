"""The index of watches: many pages, many fields, odd names, and what is no watch."""

from __future__ import annotations

import logging
from typing import Any

import orjson
import pytest
from replaying import begin, control

from eventstore import (
    Append,
    CorruptEvent,
    EventStore,
    HistoryGap,
    NewEvent,
    SyncEventStore,
)
from eventstore.archive import Archive, Archiver
from eventstore.archive.recovery import put_back
from eventstore.watches import Watcher, prefix_of
from replay import SyncRunControl
from replay.signals import finding, watching
from signals.watched import assert_indexed, entries

ODD_TYPES = [
    "paid.card",
    "ключ-π-👩‍🚀",
    "a{b}c",
    "*?[x]",
    "with space",
    "a|b",
    "50%",
    "x" * 200,
    "[",
]
ODD_VALUES = ["", "a\nb", "\0", "\x01", 7, 7.5, -0.0, True, False, None, "7", "true", "é" * 500]


def waiting(kind: str, *conditions: Any) -> NewEvent:
    pause = {"pause_id": "p", "state": {}, "window_ms": None, "on_expiry": "park"}
    waited = {"type": kind, "conditions": list(conditions)}
    return NewEvent("run.paused", {**pause, "wait_for": [waited]})


def where(field: str, value: Any, operator: str = "==") -> dict[str, Any]:
    return {"field": field, "op": operator, "value": value}


@pytest.mark.parametrize("kind", ODD_TYPES)
async def test_any_type_is_found_and_no_other(any_store: Any, kind: str) -> None:
    await begin(any_store, "run")
    await begin(any_store, "other")
    await control(any_store).watch("run", kind)
    for other in (kind + "x", kind[:-1] or "y", "paid"):
        if other[:200] != kind:
            await control(any_store).watch("other", other[:200])
    delivery = await control(any_store).deliver(kind)
    assert [each.run_id for each in delivery.runs] == ["run"]


async def test_any_plain_value_is_found_and_no_other(any_store: Any) -> None:
    # given a run for each value, found by it
    for number, value in enumerate(ODD_VALUES):
        await any_store.append(
            f"run-{number}", [NewEvent("run.created"), waiting("a", where("v", value))]
        )
    # when a signal has one of them, then only the run that waits for it gets it
    for number, value in enumerate(ODD_VALUES):
        delivery = await control(any_store).deliver("a", {"v": value})
        assert [each.run_id for each in delivery.runs] == [f"run-{number}"]


async def test_runs_that_are_found_by_different_fields_are_all_found(
    any_store: Any, server: Any, namespace: str
) -> None:
    # given runs found by many fields, by none, by a list, and by a relation
    conditions = [[where(f"f{n}", n)] for n in range(40)]
    conditions += [[], [where("list", [1])], [where("n", 3, ">"), where("f1", 1)], [where("f1", 2)]]
    for number, each in enumerate(conditions):
        await any_store.append(f"run-{number}", [NewEvent("run.created"), waiting("a", *each)])
    assert_indexed(server, namespace, {f"run-{n}": 1 for n in range(len(conditions))})
    # when a signal has them all
    payload = {f"f{n}": n for n in range(40)} | {"list": [1], "n": 4}
    delivery = await control(any_store).deliver("a", payload)
    # then all are found but the one that asks for another value
    assert {each.run_id for each in delivery.runs} == {
        f"run-{number}" for number in range(len(conditions) - 1)
    }


@pytest.mark.parametrize("server", ["valkey"], indirect=True)
async def test_each_of_many_fields_leads_to_who_watches_by_it(
    any_store: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a run that watches by more fields than are told, or read, at a time
    monkeypatch.setattr(finding, "FIELDS_A_READ", 2)
    monkeypatch.setattr(finding, "FIELDS_TOLD", 3)
    fields = [*(f"f{n}" for n in range(7)), "list.0.deep", "dotted.name"]
    await begin(any_store, "run")
    for field in fields:
        await control(any_store).watch("run", "a", [where(field, 7)], watch_id=field)
    # when a signal has the value of one of them, then it is found; a name with a dot is no path
    for field in fields:
        value = {each: 7 if each == field else 8 for each in fields}
        deep, dotted = value.pop("list.0.deep"), value.pop("dotted.name")
        payload = {"dotted": {"name": dotted}, "dotted.name": 9, "list": [{"deep": deep}], **value}
        delivery = await control(any_store).deliver("a", payload)
        assert [each.run_id for each in delivery.runs] == ["run"]
    assert not (await control(any_store).deliver("a", {"f1": 8, "dotted.name": 7})).runs


@pytest.mark.parametrize("server", ["valkey"], indirect=True)
async def test_pages_lead_through_all_who_watch_each_run_once(
    any_store: Any, server: Any, namespace: str, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    # given runs that watch twice, on pages so small that they are seams everywhere, and a stray
    monkeypatch.setattr(finding, "ENTRIES_A_READ", 3)
    monkeypatch.setattr(finding, "READS_TOGETHER", 3)
    runs = [f"run-{number}" for number in range(50)]
    for run in runs:
        await any_store.append(run, [NewEvent("run.created"), waiting("a")])
        await control(any_store).watch(run, "a")
    stray = prefix_of("a").encode() + b"no JSON"
    for key, _ in set(entries(server, namespace)):
        server.admin.zadd(key + b":watch", {stray: 0})
    # when a signal is for all of them
    with caplog.at_level(logging.WARNING):
        delivery = await control(any_store).deliver("a")
    # then each has it once, and the stray is told
    assert sorted(each.run_id for each in delivery.runs) == sorted(runs)
    assert "no JSON" in caplog.text


@pytest.mark.parametrize("server", ["valkey"], indirect=True)
async def test_who_watches_is_listed(store: EventStore) -> None:
    for name in ("one", "two"):
        await begin(store, name)
        await control(store).watch(name, "a", [where("n", 1, ">")])
    await control(store).watch("one", "ab")
    found = await store.perform(watching.watchers(store.operations, "a", 10))
    assert {watcher.run_id for watcher in found} == {"one", "two"}
    assert [watcher.conditions for watcher in found] == [[where("n", 1, ">")]] * 2
    assert len(await store.perform(watching.watchers(store.operations, "a", 1))) == 1


async def test_an_index_that_is_none_refuses_the_append_before_anything_is_written(
    any_store: Any, server: Any, namespace: str
) -> None:
    keys = any_store.operations.keys
    await begin(any_store, "run")
    server.admin.set(keys.watches(keys.partition_of("run")), "no sorted set")
    with pytest.raises(Exception, match="WRONGTYPE"):
        await any_store.append("run", waiting("a"))
    assert len(await any_store.load("run")) == 1
    await any_store.append("run", NewEvent("note.taken"))
    # and a signal that cannot find out who watches is no signal that nobody watches for
    with pytest.raises(Exception, match="WRONGTYPE"):
        await control(any_store).deliver("a")


async def test_a_run_that_cannot_be_read_keeps_a_signal_from_no_other(
    any_store: Any, server: Any, namespace: str
) -> None:
    # given runs that wait, two of which are damaged
    keys = any_store.operations.keys
    for name in ("lost", "bad", "good", "fine"):
        await any_store.append(name, [NewEvent("run.created"), waiting("a")])
    server.admin.unlink(keys.run("lost"))
    server.admin.xadd(keys.run("bad"), {"e": "{", "c": "0", "p": "1-1", "a": "x"}, id="3-0")
    # when a signal is for all of them
    delivery = await control(any_store).deliver("a", source_id="hook")
    # then the others have it, and what is wrong with these is told
    assert sorted(each.run_id for each in delivery.runs) == ["fine", "good"]
    assert {name: type(error) for name, error in delivery.refused.items()} == {
        "lost": HistoryGap,
        "bad": CorruptEvent,
    }
    # and it counts as delivered to none but those
    again = await control(any_store).deliver("a", source_id="hook")
    assert (again.deduplicated, set(again.refused)) == (False, {"lost", "bad"})


def test_an_entry_reads_as_it_was_written() -> None:
    about = orjson.dumps(["a\0b".replace("\0", "-"), "p:x", 0, [where("a", "\0\n")]])
    watcher = Watcher.parse(prefix_of("t", "a", 7).encode() + about)
    assert (watcher.run_id, watcher.conditions) == ("a-b", [where("a", "\0\n")])
    for broken in (b"", b"t", b"t\0\0\0", b"t\0\0\0[]"):
        with pytest.raises(ValueError):
            Watcher.parse(broken)


def test_what_is_put_back_after_a_loss_watches_again(
    sync_store: SyncEventStore, server: Any, namespace: str, tmp_path: Any
) -> None:
    # given archived runs: one waits, one watches, one no longer does, one ended
    control = SyncRunControl(sync_store)
    created = NewEvent("run.created", {"input": 1})
    sync_store.append_many(
        Append(name, [created, waiting("a", where("n", 7))]) for name in ("waits", "went", "ended")
    )
    sync_store.append("watches", created)
    control.watch("watches", "a", watch_id="w")
    control.deliver("a", {"n": 7}, run_id="went")
    sync_store.append("ended", NewEvent("run.completed"))
    path = tmp_path / "archive.db"
    facts = {"identity": sync_store.identity, "namespace": namespace, "partitions": 16}
    with Archive.open(path, **facts) as archive, Archiver(sync_store, archive) as archiver:
        archiver.run_to_end()
    expected = {"waits": 1, "watches": 1}
    assert_indexed(server, namespace, expected)
    before = sorted(entries(server, namespace))
    # when the server loses everything, and it is put back
    server.forget(namespace)
    with (
        SyncEventStore.open(server.url, namespace=namespace, archive=path) as store,
        Archive.look(path, read_only=False) as archive,
    ):
        put_back(archive, store)
    # then the same watch again
    assert_indexed(server, namespace, expected)
    assert sorted(entries(server, namespace)) == before
