"""Seeing and steering what is parked, from asyncio and from threads."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from samples import contents
from servers import AnyServer

from eventstore import (
    EventStore,
    InvalidArgument,
    InvalidRunId,
    Settings,
    SyncEventStore,
    UnknownGroup,
)
from eventstore.groups.parking import Parked, ParkedFilter, SyncParked
from parking.fake_owner import FakeOwner, failure

Of = Callable[[str], Parked]
SMALL_PAGES = Settings(page_events=20)
EVERYTHING = ParkedFilter()


class InThreads:
    """A ``SyncParked`` behind the face of ``Parked``."""

    def __init__(self, blocking: SyncParked) -> None:
        self._blocking = blocking

    def __getattr__(self, name: str) -> Any:
        return partial(asyncio.to_thread, getattr(self._blocking, name))


@pytest.fixture(params=["asyncio", "sync"])
async def of(
    request: pytest.FixtureRequest, server: AnyServer, owner: FakeOwner
) -> AsyncIterator[Of]:
    """Give what makes a ``Parked`` of a group, on a store that reads small pages."""
    details: dict[str, Any] = {"namespace": owner.keys.namespace, "settings": SMALL_PAGES}
    if request.param == "asyncio":
        async with EventStore.open(server.url, **details) as store:
            yield lambda group: Parked(store, group)
    else:
        with SyncEventStore.open(server.url, **details) as blocking:
            yield lambda group: InThreads(SyncParked(blocking, group))  # type: ignore[arg-type,return-value]


def park_many(owner: FakeOwner, count: int) -> list[str]:
    """Park runs, one after another; every third one for a time-out."""
    run_ids = [f"run-{n:03d}" for n in range(count)]
    owner.append_all(run_ids)
    owner.read()
    for number, run_id in enumerate(run_ids):
        kind, message = ("TimeoutError", "too late") if number % 3 == 0 else ("KeyError", "None")
        assert owner.park(run_id, 1, failure(message, kind=kind))
    return run_ids


async def listed(parked: Parked, chosen: ParkedFilter = EVERYTHING, **how: Any) -> list[str]:
    """List all pages."""
    found: list[str] = []
    cursor = None
    while True:
        page = await parked.list(chosen, cursor=cursor, **how)
        found += [run.run_id for run in page.items]
        cursor = page.next_cursor
        if cursor is None:
            return found


async def test_the_list_is_in_order_of_time_whatever_the_partition(
    of: Of, owner: FakeOwner
) -> None:
    run_ids = park_many(owner, 120)

    times = [run.parked_at for run in (await of("g").list(limit=1_000)).items]
    earliest = await listed(of("g"), order="parked", limit=1_000)
    latest = await listed(of("g"), limit=1_000)

    assert times == sorted(times, reverse=True)
    assert latest == earliest[::-1]
    assert sorted(earliest) == run_ids


@pytest.mark.parametrize("order", ["parked", "-parked"])
@pytest.mark.parametrize("limit", [1, 7, 60])
async def test_pages_join_without_gap_or_repeat(
    of: Of, owner: FakeOwner, order: str, limit: int
) -> None:
    run_ids = park_many(owner, 60)
    whole = await listed(of("g"), order=order, limit=1_000)

    assert await listed(of("g"), order=order, limit=limit) == whole
    assert sorted(whole) == run_ids


async def test_a_page_holds_what_people_need_and_no_traceback(of: Of, owner: FakeOwner) -> None:
    owner.append("r", 3, workflow_id="orders")
    owner.read()
    owner.park("r", 2, failure("oh"), handled=(1,))
    owner.hold_back("r", 3)

    (run,) = (await of("g").list()).items

    assert (run.run_id, run.workflow_id, run.type) == ("r", "orders", "note.taken")
    assert (run.first_version, run.last_version, run.failed_version) == (2, 3, 2)
    assert run.state == "parked"
    assert run.failure == failure("oh", traceback="")
    assert abs(run.parked_at - datetime.now(UTC)) < timedelta(minutes=1)


async def test_filters_choose_and_all_must_hold(of: Of, owner: FakeOwner) -> None:
    run_ids = park_many(owner, 30)
    owner.append("odd", 1, workflow_id="w-1")
    owner.read()
    owner.park("odd", 1, failure("Straße gesperrt", kind="TimeoutError"))
    owner.store.perform(_redrive(owner, "run-004"))
    late = run_ids[::3]

    async def chosen(**conditions: Any) -> list[str]:
        wanted = ParkedFilter(**conditions)
        found = await listed(of("g"), wanted, order="parked", limit=4)
        assert await of("g").count(wanted) == len(found)
        return sorted(found)

    assert await chosen() == sorted([*run_ids, "odd"])
    assert await chosen(kind="TimeoutError") == sorted([*late, "odd"])
    assert await chosen(kind="TimeoutError", text="LATE") == late
    assert await chosen(text="STRASSE") == ["odd"]
    assert await chosen(workflow_id="w-1") == ["odd"]
    assert await chosen(type="note.taken") == sorted([*run_ids, "odd"])
    assert await chosen(type="other") == []
    assert await chosen(run_id="run-003") == ["run-003"]
    assert await chosen(run_id="run-003", kind="KeyError") == []
    assert await chosen(run_id="not parked") == []
    assert await chosen(state="redrive") == ["run-004"]
    assert await chosen(state="parked", run_id="run-004") == []


def _redrive(owner: FakeOwner, run_id: str) -> Any:
    from eventstore.groups.parking import plans  # noqa: PLC0415

    return plans.redrive(owner.store.operations, "g", run_id, dry_run=False)


async def test_times_and_places_cut_where_they_say(of: Of, owner: FakeOwner) -> None:
    park_many(owner, 40)
    runs = (await of("g").list(order="parked", limit=1_000)).items
    moment = runs[20].parked_at

    for run in (runs[0], runs[17], runs[39]):
        up_to = ParkedFilter(up_to=str(run.place))
        there = [each.run_id for each in runs[: runs.index(run) + 1]]
        assert await listed(of("g"), up_to, order="parked", limit=9) == there
        assert await of("g").redrive(up_to, dry_run=True) == len(there)
    after, before = ParkedFilter(after=moment), ParkedFilter(before=moment)
    assert await of("g").count(after) == sum(run.parked_at >= moment for run in runs)
    assert await of("g").count(before) == sum(run.parked_at < moment for run in runs)
    assert await of("g").count(ParkedFilter(after=moment, before=moment)) == 0
    assert await of("g").count(ParkedFilter(before=datetime(1970, 1, 1, tzinfo=UTC))) == 0
    assert await of("g").count(ParkedFilter(after=datetime(9999, 1, 1, tzinfo=UTC))) == 0
    of_one = ParkedFilter(run_id=runs[5].run_id, up_to=str(runs[4].place))
    assert await of("g").redrive(of_one) == 0


async def test_a_dry_run_counts_and_changes_nothing(
    of: Of, owner: FakeOwner, server: AnyServer
) -> None:
    park_many(owner, 30)
    before = contents(server, owner.keys.namespace)
    late = ParkedFilter(kind="TimeoutError")

    assert await of("g").redrive(EVERYTHING, dry_run=True) == 30
    assert await of("g").redrive(late, dry_run=True) == 10
    assert await of("g").discard(late, dry_run=True) == 10
    assert await of("g").discard("run-001", dry_run=True) == 1

    assert contents(server, owner.keys.namespace) == before


async def test_a_redrive_asks_once_for_each_run_the_first_parked_first(
    of: Of, owner: FakeOwner
) -> None:
    park_many(owner, 50)
    in_order = await listed(of("g"), order="parked", limit=1_000)

    assert await of("g").redrive("run-007") == 1
    assert await of("g").redrive("run-007") == 0
    assert await of("g").redrive(ParkedFilter(kind="TimeoutError")) == 17
    assert await of("g").redrive(EVERYTHING) == 32
    assert await of("g").redrive(EVERYTHING) == 0

    assert {state for _, _, state in owner.set_aside().values()} == {"redrive"}
    asked = [run.run_id for run in owner.redrives()]
    late = [run_id for run_id in in_order if int(run_id[4:]) % 3 == 0]
    rest = [run_id for run_id in in_order if run_id not in [*late, "run-007"]]
    for partition in range(owner.keys.partitions):
        there = [run_id for run_id in asked if owner.keys.partition_of(run_id) == partition]
        wanted = ["run-007", *late, *rest]
        assert there == [run for run in wanted if owner.keys.partition_of(run) == partition]
    assert await of("g").count() == 50


async def test_discarded_runs_are_gone_for_this_group_and_stay_in_the_store(
    of: Of, owner: FakeOwner
) -> None:
    run_ids = park_many(owner, 20)
    await of("g").redrive("run-004")

    assert await of("g").discard(ParkedFilter(kind="TimeoutError")) == 7
    assert await of("g").discard("run-004") == 1
    assert await of("g").discard("run-004") == 0
    left = [run_id for run_id in run_ids if int(run_id[4:]) % 3 and run_id != "run-004"]
    assert sorted(owner.set_aside()) == left
    assert await of("g").count() == 12

    assert await of("g").discard(EVERYTHING) == 12
    assert owner.set_aside() == {}
    assert owner.redrives() == []
    assert len(owner.store.load("run-004")) == 1


async def test_a_run_is_shown_with_its_traceback_and_what_is_set_aside(
    of: Of, owner: FakeOwner
) -> None:
    owner.append("r", 30)
    owner.read()
    owner.park("r", 3, failure(traceback="here\n  and there"))
    owner.hold_back("r", *range(4, 29))

    details = await of("g").show("r")
    few = await of("g").show("r", max_events=2)

    assert details is not None
    assert few is not None
    assert details.run.failure.traceback == "here\n  and there"
    assert [event.version for event in details.events] == list(range(3, 29))
    assert [event.version for event in few.events] == [3, 4]
    assert details.missing is None
    assert await of("g").show("another") is None


async def test_a_run_whose_events_are_gone_is_shown_with_what_is_missing(
    of: Of, owner: FakeOwner
) -> None:
    owner.append("r", 3)
    owner.read()
    owner.park("r", 1)
    owner.hold_back("r", 2, 3)
    owner.server.admin.delete(owner.keys.run("r"))

    details = await of("g").show("r")

    assert details is not None
    assert details.events == []
    assert "version 1" in str(details.missing)
    assert details.run.failure.message == "it broke"


async def test_an_entry_that_somebody_deleted_hides_no_other_and_its_run_can_be_redriven(
    of: Of, owner: FakeOwner
) -> None:
    park_many(owner, 30)
    (run,) = (await of("g").list(ParkedFilter(run_id="run-011"))).items
    partition = run.place.partition
    owner.server.admin.xdel(owner.keys.dead(partition, "g"), run.place.entry_id)

    assert len(await listed(of("g"), limit=3)) == 29
    shown = await of("g").show("run-011")
    assert shown is not None
    assert shown.run.failure.kind == ""
    assert await of("g").redrive("run-011") == 1


async def test_an_entry_without_its_run_hides_no_other(of: Of, owner: FakeOwner) -> None:
    park_many(owner, 60)
    for run_id in ("run-010", "run-020", "run-030"):
        owner.server.admin.hdel(owner.keys.parked(owner.keys.partition_of(run_id), "g"), run_id)

    assert len(await listed(of("g"), limit=3)) == 57
    assert await of("g").redrive(EVERYTHING) == 57


async def test_an_unknown_group_is_told_with_those_there_are(of: Of, owner: FakeOwner) -> None:
    parked = of("bills")

    for asked in (
        parked.list,
        parked.count,
        partial(parked.show, "r"),
        partial(parked.redrive, "r"),
        partial(parked.discard, EVERYTHING),
    ):
        with pytest.raises(UnknownGroup) as told:
            await asked()
        assert told.value.group == "bills"
        assert told.value.known == ("g",)  # type: ignore[attr-defined]


async def test_what_makes_no_sense_is_refused(of: Of, owner: FakeOwner) -> None:
    parked = of("g")
    park_many(owner, 3)

    for refused in (
        partial(parked.list, limit=0),
        partial(parked.list, limit=1_001),
        partial(parked.list, limit=True),
        partial(parked.list, order="run"),
        partial(parked.list, cursor="nonsense"),
        partial(parked.list, cursor=3),
        partial(parked.show, "r", max_events=0),
        partial(parked.redrive, None),
        partial(parked.discard, {}),
        of("").count,
        of("a\nb").count,
    ):
        with pytest.raises(InvalidArgument):
            await refused()  # type: ignore[operator]
    with pytest.raises(InvalidRunId):
        await parked.redrive("")
    assert await parked.count() == 3


@pytest.mark.parametrize(
    "conditions",
    [
        {"run_id": ""},
        {"state": "dead"},
        {"up_to": "yesterday"},
        {"up_to": "1-1"},
        {"up_to": 11},
        {"after": datetime(2026, 1, 1)},  # noqa: DTZ001 - it has no zone on purpose
    ],
)
def test_a_condition_that_makes_no_sense_is_refused(conditions: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgument):
        ParkedFilter(**conditions)


async def test_runs_with_any_name_are_parked_and_found(of: Of, owner: FakeOwner) -> None:
    names = ["a b", "a|b", "ключ|{c}", "x" * 200, "parked", "1-1"]
    for name in names:
        owner.append(name, 1)
    owner.read()
    for name in names:
        owner.park(name, 1)

    assert sorted(await listed(of("g"))) == sorted(names)
    for name in names:
        assert await of("g").redrive(name) == 1
    assert sorted(run.run_id for run in owner.redrives()) == sorted(names)
    assert await of("g").discard(EVERYTHING) == len(names)
