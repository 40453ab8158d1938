"""A course: events that are appended while members, and their server, come and go by chance."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial

from faults import soon
from group_samples import pending
from samples import notes
from servers import Server

from eventstore import Append, EventStore
from group_laws.crew import Crew, has_spoken
from group_laws.journal import Journal

RUNS = 60
MOST_MEMBERS = 5
STEPS = 14
DONE_WITHIN_S = 60
SLEEPS_S = (0.3, 1.6)
"""How long a sleep is; the lease ends in between."""
OUTAGES_S = (0, 0, 0.4, 1.2)
"""How long the server is away; the lease, and the patience of some members, ends in between."""


class Course:
    """Everything that happens, made from a seed.

    What is done and when it is done come from the seed; what the members do meanwhile is up to
    the machine, so a failure may take a few attempts to come again.
    """

    def __init__(
        self, seed: int, server: Server, store: EventStore, crew: Crew, journal: Journal
    ) -> None:
        self._journal = journal
        self._chance = random.Random(seed)
        self._server = server
        self._store = store
        self._crew = crew
        self._asleep: dict[str, float] = {}
        self.versions = dict.fromkeys((f"run-{number}" for number in range(RUNS)), 0)
        """By run, how many events it has."""

    @property
    def places(self) -> set[tuple[str, int]]:
        """Run and version of every event."""
        return {(run, v) for run, last in self.versions.items() for v in range(1, last + 1)}

    async def go(self) -> None:
        """Go through the course, and wait until everything is handled and acknowledged."""
        for _ in range(self._chance.randint(1, 3)):
            self._crew.join()
        for _ in range(STEPS):
            await self._append()
            wanted = len(self._journal.lines) + self._chance.randint(0, 150)
            await _in_time(partial(self._has_lines, wanted))
            await asyncio.to_thread(self._befall)
            self._crew.supervise()
            self._wake_those_whose_time_has_come()
        self._crew.wake_all()
        await soon(self._is_done, within_s=DONE_WITHIN_S)
        for name in list(self._crew.members):
            await has_spoken(name, self._store, self._server)

    async def _append(self) -> None:
        chosen = self._chance.sample(sorted(self.versions), 25)
        counts = {run_id: self._chance.randint(1, 6) for run_id in chosen}
        outcomes = await self._store.append_many(
            Append(run_id, notes(count)) for run_id, count in counts.items()
        )
        assert not [outcome for outcome in outcomes if isinstance(outcome, Exception)]
        for run_id, count in counts.items():
            self.versions[run_id] += count

    def _befall(self) -> None:
        """Let one thing happen."""
        names = [name for name, member in self._crew.members.items() if not member.is_asleep]
        kinds: dict[Callable[..., None], int] = {self._join: 3, self._restart_server: 2}
        if names:
            kinds |= {self._leave: 2, self._kill: 2, self._kill_and_return: 2, self._sleep: 4}
        [kind] = self._chance.choices(list(kinds), weights=list(kinds.values()))
        if kind in (self._join, self._restart_server):
            kind()
        else:
            kind(self._chance.choice(names))

    def _join(self) -> None:
        if len(self._crew.members) < MOST_MEMBERS:
            self._crew.join()

    def _restart_server(self) -> None:
        self._server.kill()
        time.sleep(self._chance.choice(OUTAGES_S))
        self._server.start()

    def _leave(self, name: str) -> None:
        member = self._crew.members[name]
        if not member.is_alive:
            return
        served = any(line.pid == member.pid for line in self._journal.lines)
        code = self._crew.leave(name)
        # 1: it died on purpose on its way. Before it serves it knows no good order.
        assert code in (0, 1) or not served, f"{name} left with {code}"

    def _kill(self, name: str) -> None:
        self._crew.kill(name)

    def _kill_and_return(self, name: str) -> None:
        self._crew.kill(name)
        self._crew.join(name)

    def _sleep(self, name: str) -> None:
        self._crew.sleep(name)
        self._asleep[name] = time.monotonic() + self._chance.uniform(*SLEEPS_S)

    def _wake_those_whose_time_has_come(self) -> None:
        for name, until_s in list(self._asleep.items()):
            if until_s < time.monotonic():
                del self._asleep[name]
                if name in self._crew.members:
                    self._crew.members[name].wake()

    def _has_lines(self, wanted: int) -> bool:
        return len(self._journal.lines) >= wanted

    def _is_done(self) -> bool:
        if not self._crew.members:
            self._crew.join()
        self._crew.supervise()
        if not self._journal.has_ended(self.places):
            return False
        return not pending(self._store, self._server.admin, "g")


async def _in_time(condition: Callable[[], bool]) -> None:
    """Wait for a condition, but not long: everybody may be asleep just now."""
    with suppress(AssertionError):
        await soon(condition, within_s=0.5)


async def places_of(
    store: EventStore, first_ns: Mapping[tuple[str, str], int]
) -> dict[tuple[str, int], int]:
    """Give the times of log entries by run and version."""
    keys = store.operations.keys
    return {
        (event.run_id, event.version): at_ns
        async for event in store.read_all()
        if (at_ns := first_ns.get((keys.log(event.position.partition), event.position.entry_id)))
    }
