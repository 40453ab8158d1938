"""The law of groups: whatever dies, every event is handled, and in order where one member serves.

A seed makes each course of events; a failing one is repeated by its number.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest
from faults import Python, soon
from group_samples import Notebook, first_handlings, pending
from samples import notes
from servers import Server

from eventstore import Append, EventStore

RUNS = 40
STEPS = 8
PARTITIONS = 4

MEMBER = """
import asyncio, os, random, sys
from eventstore import EventStore
from eventstore.groups import Backoff, ConsumerGroup

url, namespace, member, path, seed = sys.argv[1:]
chance = random.Random(int(seed))
notes = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

async def handle(event):
    if chance.random() < 0.02:
        raise RuntimeError("fails sometimes")
    await asyncio.sleep(chance.random() / 500)
    if chance.random() < 0.002:
        os._exit(1)
    os.write(notes, f"{event.run_id} {event.version}\\n".encode())
    if chance.random() < 0.002:
        os._exit(1)

async def main():
    async with EventStore.open(url, namespace=namespace, partitions=None) as store:
        await ConsumerGroup(
            store, "g", handle, create=True, member=member, lease_ms=300, batch_events=32,
            backoff=Backoff(first_ms=5, max_ms=20),
        ).run()

asyncio.run(main())
"""


class Course:
    """Members that serve a group, and what befalls them and their server."""

    def __init__(
        self, seed: int, server: Server, namespace: str, notebook: Notebook, *, new_names: bool
    ) -> None:
        self.chance = random.Random(seed)
        self._new_names = new_names
        self._started = 0
        self._server = server
        self._namespace = namespace
        self.notebook = notebook
        self._members: dict[str, Python] = {}

    def serve(self, name: str) -> None:
        """Start a member; the one in its place, if there is any, is killed first."""
        if name in self._members:
            _kill(self._members.pop(name))
        seed = self.chance.randrange(10**6)
        self._started += 1
        called = f"{name}-{self._started}" if self._new_names else name
        self._members[name] = Python(
            MEMBER, self._server.url, self._namespace, called, self.notebook.path, seed
        )

    def serve_again(self) -> None:
        """Start the members anew that ended by themselves."""
        for name, member in list(self._members.items()):
            if member._process.poll() is not None:
                self.serve(name)

    def befall(self, names: list[str]) -> None:
        """Let something happen to a member, or to the server."""
        name = self.chance.choice(names)
        kinds: list[Callable[[], None]] = [
            self._server.restart,
            lambda: self.serve(name),
            lambda: self._signal(name, signal.SIGSTOP),
            lambda: self._signal(name, signal.SIGCONT),
        ]
        self.chance.choice(kinds)()

    def _signal(self, name: str, number: signal.Signals) -> None:
        member = self._members[name]._process
        if member.poll() is None:
            os.kill(member.pid, number)

    def wake_all(self) -> None:
        """End every sleep."""
        for name in self._members:
            self._signal(name, signal.SIGCONT)

    def kill_all(self) -> None:
        """End all members."""
        for member in self._members.values():
            _kill(member)


def _kill(member: Python) -> None:
    with member:
        pass  # leaving it kills it


async def go_through(course: Course, store: EventStore, server: Server, names: list[str]) -> None:
    """Append while members come and go; then wait until all is handled and acknowledged."""
    versions = dict.fromkeys((f"run-{n}" for n in range(RUNS)), 0)
    for name in names:
        course.serve(name)
    for _ in range(STEPS):
        chosen = course.chance.sample(sorted(versions), 15)
        counts = {run_id: course.chance.randint(1, 4) for run_id in chosen}
        outcomes = await store.append_many(
            Append(run_id, notes(count)) for run_id, count in counts.items()
        )
        assert not [outcome for outcome in outcomes if isinstance(outcome, Exception)]
        versions |= {run_id: versions[run_id] + count for run_id, count in counts.items()}
        wanted = len(course.notebook.places) + course.chance.randint(0, 60)
        with suppress(AssertionError):  # all members may sleep just now
            await soon(partial(course.notebook.reached, wanted), within_s=1)
        await asyncio.to_thread(course.befall, names)

    def is_done() -> bool:
        course.wake_all()
        course.serve_again()
        everything = {(run, v) for run, last in versions.items() for v in range(1, last + 1)}
        return set(course.notebook.places) == everything and not pending(store, server.admin, "g")

    await soon(is_done, within_s=60)


@pytest.mark.parametrize("seed", range(3))
async def test_every_event_is_handled_whoever_dies(
    launch: Callable[..., Server], namespace: str, tmp_path: Path, seed: int
) -> None:
    server = launch(["valkey", "redis6", "redis7"][seed % 3])
    course = Course(seed, server, namespace, Notebook(tmp_path / "handled"), new_names=True)
    try:
        async with EventStore.open(server.url, namespace=namespace, partitions=PARTITIONS) as store:
            await go_through(course, store, server, ["a", "b", "c"])
    finally:
        course.kill_all()


@pytest.mark.parametrize("seed", range(10, 13))
async def test_one_member_handles_each_run_in_order_however_often_it_dies(
    launch: Callable[..., Server], namespace: str, tmp_path: Path, seed: int
) -> None:
    server = launch(["valkey", "redis6", "redis7"][seed % 3])
    course = Course(seed, server, namespace, Notebook(tmp_path / "handled"), new_names=False)
    try:
        async with EventStore.open(server.url, namespace=namespace, partitions=PARTITIONS) as store:
            await go_through(course, store, server, ["a"])
    finally:
        course.kill_all()

    for versions in first_handlings(course.notebook.places).values():
        assert versions == list(range(1, len(versions) + 1))
