"""A member that was put to sleep in a handler, and woken when others had its work, does no harm."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
from faults import soon
from group_samples import pending
from samples import notes
from servers import Server

from eventstore import EventStore
from eventstore.groups import leases
from eventstore.groups.hold import Hold, Membership
from eventstore.plan import single
from group_laws.acknowledgements import Acknowledgements, watched
from group_laws.course import places_of
from group_laws.crew import Crew, crew, has_spoken
from group_laws.journal import Journal, Line
from group_laws.laws import acknowledged_too_soon, begun_after_acknowledged, out_of_order
from group_laws.member import Task

LEASE_MS = 500
PLACES = {("run", version) for version in (1, 2, 3)}


@dataclass
class Scene:
    """A run of three events, of which a member began the first; then it fell asleep."""

    store: EventStore
    server: Server
    crew: Crew
    journal: Journal
    acknowledged: Acknowledgements
    folder: Path

    def lines(self, member: str, kind: str) -> list[Line]:
        """What a member wrote down of a kind."""
        return [each for each in self.journal.lines if (each.member, each.kind) == (member, kind)]

    def open_gate(self, member: str) -> None:
        """Let a member's handlers end."""
        (self.folder / member).touch()


@pytest.fixture
async def scene(own_server: Server, namespace: str, tmp_path: Path) -> AsyncIterator[Scene]:
    journal = Journal(tmp_path / "journal")
    task = Task(
        own_server.url,
        namespace,
        str(journal.path),
        lease_ms=LEASE_MS,
        gates={name: str(tmp_path / name) for name in ("zombie", "successor")},
    )
    async with (
        EventStore.open(own_server.url, namespace=namespace, partitions=1) as store,
        watched(own_server, "g") as acknowledged,
    ):
        await store.append("run", notes(3))
        with crew(task, tmp_path / "members") as members:
            scene = Scene(store, own_server, members, journal, acknowledged, tmp_path)
            members.join("zombie")
            await soon(lambda: scene.lines("zombie", "begun"))
            members.sleep("zombie")
            members.join("successor")
            await soon(lambda: scene.lines("successor", "begun"))
            yield scene


async def test_a_zombies_acknowledgement_is_refused(scene: Scene) -> None:
    # when it wakes, and its handler ends, while the successor is still in the same event
    scene.open_gate("zombie")
    scene.crew.members["zombie"].wake()
    await soon(lambda: scene.lines("zombie", "ended"))
    await has_spoken("zombie", scene.store, scene.server)
    # then nothing is acknowledged, and it begins nothing else
    assert scene.acknowledged.first_ns == {}
    assert pending(scene.store, scene.server.admin, "g") >= 1
    assert [line.place for line in scene.lines("zombie", "begun")] == [("run", 1)]
    # and when the successor is done, all is well
    scene.open_gate("successor")
    await soon(partial(_is_done, scene))
    mine = [line for line in scene.journal.lines if line.member == "successor"]
    assert out_of_order(mine) == []
    acknowledged_ns = await places_of(scene.store, scene.acknowledged.first_ns)
    assert set(acknowledged_ns) == PLACES
    assert acknowledged_too_soon(mine, acknowledged_ns) == []


async def test_a_zombie_begins_nothing_of_what_its_successor_acknowledged(scene: Scene) -> None:
    # given a successor that handled everything
    scene.open_gate("successor")
    await soon(partial(_is_done, scene))
    # when
    scene.open_gate("zombie")
    scene.crew.members["zombie"].wake()
    await soon(lambda: scene.lines("zombie", "ended"))
    await has_spoken("zombie", scene.store, scene.server)
    # then it ended what it was in, and no more
    acknowledged_ns = await places_of(scene.store, scene.acknowledged.first_ns)
    assert set(acknowledged_ns) == PLACES
    assert begun_after_acknowledged(scene.journal.lines, acknowledged_ns, {}) == []
    assert [line.place for line in scene.lines("zombie", "begun")] == [("run", 1)]


async def test_the_handler_sees_that_the_epoch_rose(scene: Scene) -> None:
    [zombie], successor = scene.lines("zombie", "begun"), scene.lines("successor", "begun")[0]
    assert successor.place == zombie.place
    assert successor.epoch > zombie.epoch
    assert successor.attempt > zombie.attempt


def _is_done(scene: Scene) -> bool:
    done = {line.place for line in scene.lines("successor", "ended")}
    return done == PLACES and not pending(scene.store, scene.server.admin, "g")


async def test_the_server_refuses_the_acknowledgement_of_an_old_epoch(scene: Scene) -> None:
    # given what the zombie would send if it did not look at the clock first
    keys, [begun] = scene.store.operations.keys, scene.lines("zombie", "begun")
    events = await scene.store.load("run")
    places = [event.position for event in events]
    hold = Hold(Membership(keys, "g", "zombie"), begun.partition, begun.epoch)
    # when
    accepted = await scene.store.perform(single(leases.acknowledge(hold, places, places[-1])))
    # then
    assert not accepted
    assert scene.acknowledged.first_ns == {}
    assert pending(scene.store, scene.server.admin, "g") == len(places)
