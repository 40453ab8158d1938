"""What Redis lets go of a deleted run, and what it keeps to know it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from faults import eventually
from parking.fake_owner import FakeOwner, failure
from retention.ground import Ground
from samples import deleted, noted
from servers import AnyServer, Server

from erasure.conftest import MARKER, delete, speak
from eventstore import ConsumerGroup, EventStore, RecordedEvent, RunClosed
from eventstore.events import ERASED
from eventstore.groups.parking import SyncParked
from eventstore.plan import single
from eventstore.retention.commands import scrub
from replay import SyncRunControl


def test_a_head_keeps_the_version_and_that_the_run_was_deleted(ground: Ground) -> None:
    # given a deleted run with a workflow and an idempotency key
    ground.append("named", noted(MARKER, workflow_id=MARKER), idempotency_key=MARKER)
    ground.append("named", deleted())
    # when it left Redis
    ground.archive_and_trim()
    # then its head says no more than that, and whatever comes is refused
    head = ground.server.admin.hgetall(ground.store.operations.keys.head("named"))
    assert head == {b"v": b"2", b"s": b"deleted"}
    late = ground.append("named", noted(MARKER, workflow_id=MARKER), idempotency_key=MARKER)
    assert isinstance(late, RunClosed)


def test_a_deletion_that_is_sent_again_after_all_left_redis_is_recognised(ground: Ground) -> None:
    given = {"append_id": "delete-it"}
    ground.append("twice", noted())
    first = ground.append("twice", deleted(), **given)
    ground.archive_and_trim()
    again = ground.append("twice", deleted(), **given)
    assert (again.last_version, again.deduplicated) == (first.last_version, True)


def test_what_errors_told_is_forgotten_and_the_run_stays_parked(
    ground: Ground, server: AnyServer
) -> None:
    # given two runs that a group has set aside, and what their errors told
    owner = FakeOwner(ground.store, server).create_group().take()
    owner.read()
    for run in ("secret", "other"):
        owner.park(run, 1, failure(f"{run} {MARKER}"))
    # when one of them is deleted, and left Redis
    ground.archive_and_trim()
    # then nothing is told of it, and it is still set aside
    parked = SyncParked(ground.store, "g")
    told = {run.run_id: run.failure for run in parked.list().items}
    assert (told["secret"].message, told["secret"].traceback) == ("", "")
    assert told["secret"].kind == "ValueError"
    assert told["other"].message == f"other {MARKER}"


def test_deleting_by_hand_forgets_errors_at_once_and_twice_changes_nothing(
    ground: Ground, server: AnyServer
) -> None:
    owner = FakeOwner(ground.store, server).create_group().take()
    owner.read()
    owner.park("other", 1, failure(MARKER))
    control = SyncRunControl(ground.store)
    assert control.delete("other", "asked for", actor="bob") == 6
    assert control.delete("other") == 6
    (run,) = SyncParked(ground.store, "g").list().items
    assert run.failure.message == ""
    assert ground.store.load("other")[-1].data == {"reason": "asked for"}


async def test_a_group_that_comes_late_gets_erased_events_in_their_order(ground: Ground) -> None:
    # given a deleted run that only the archive holds
    ground.archive_and_trim()
    seen: list[RecordedEvent] = []
    # when a group begins at the beginning
    async with EventStore.open(
        ground.server.url, namespace=ground.namespace, archive=ground.path, partitions=2
    ) as store:
        await ConsumerGroup(store, "late", seen.append, create=True).run_to_end()
    # then it passes through the run, version by version, and learns of the deletion
    of_run = [(event.version, event.type) for event in seen if event.run_id == "secret"]
    assert of_run == [(n, ERASED) for n in range(1, 7)] + [(7, "run.deleted")]


@pytest.fixture
def plain(own_server: Server, tmp_path: Path) -> Iterator[Ground]:
    """Give a deleted run on a server whose dumps are not compressed."""
    own_server.admin.config_set("rdbcompression", "no")
    with Ground(own_server, "runs", tmp_path, partitions=1) as ground:
        speak(ground)
        delete(ground)
        yield ground


def test_a_log_that_is_written_anew_shows_nothing_and_serves_its_groups(plain: Ground) -> None:
    # given a trimmed log with a group, and somebody who waits for it
    admin, log = plain.server.admin, plain.store.operations.keys.log(0)
    admin.xgroup_create(log, "g", "0")
    everything = admin.xreadgroup("g", "one", {log: ">"})[0][1]
    admin.xack(log, "g", *(entry_id for entry_id, _ in everything))
    plain.archive_and_trim()
    assert admin.xlen(log) == 1
    assert MARKER.encode() in admin.dump(log)  # the bytes of removed entries
    found: list[object] = []

    def wait() -> None:
        found.append(admin.xreadgroup("g", "two", {log: ">"}, count=1, block=20_000))

    waiting = threading.Thread(target=wait)
    waiting.start()
    eventually(lambda: admin.info("clients")["blocked_clients"] == 1)
    # when it is written anew
    assert plain.store.perform(single(scrub(log, 10)))
    # then the bytes are gone, and reading goes on with the next entry
    assert MARKER.encode() not in admin.dump(log)
    appended = plain.append("other", noted("next"))
    waiting.join(20)
    assert found[0][0][1][0][0].decode() == appended.positions[0].entry_id  # type: ignore[index]
    assert admin.xpending(log, "g")["pending"] == 1


def test_a_log_is_left_alone_while_a_group_works_on_it_or_where_it_is_long(plain: Ground) -> None:
    # given a log with an entry that is being handled
    admin, log = plain.server.admin, plain.store.operations.keys.log(0)
    admin.xgroup_create(log, "g", "0")
    admin.xreadgroup("g", "one", {log: ">"}, count=1)
    before = admin.dump(log)
    # then it is not touched
    assert not plain.store.perform(single(scrub(log, 1_000)))
    assert not plain.store.perform(single(scrub(log, 5)))
    assert admin.dump(log) == before
