"""Members of a group as processes, and what a test does to them."""

from __future__ import annotations

import os
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from faults import PROJECT, soon
from servers import Server

from eventstore import EventStore
from group_laws.member import Task

LEAVES_WITHIN_S = 20
HEARTBEATS = 3


class Member:
    """A process; it writes what goes wrong to a file of its own."""

    def __init__(self, task: Task, log: Path) -> None:
        self.task = task
        self.log = log
        places = os.pathsep.join(map(str, (PROJECT, PROJECT / "tests")))
        with log.open("ab") as errors:
            self._process = subprocess.Popen(
                task.words(), env={**os.environ, "PYTHONPATH": places}, stderr=errors
            )
        self.is_asleep = False

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    def sleep(self) -> None:
        """Stop it where it stands, until ``wake``."""
        if self.is_alive:
            os.kill(self.pid, signal.SIGSTOP)
            self.is_asleep = True

    def wake(self) -> None:
        """Let it go on."""
        if self.is_asleep and self.is_alive:
            os.kill(self.pid, signal.SIGCONT)
        self.is_asleep = False

    def kill(self) -> None:
        """End it as a crash would."""
        self._process.kill()
        self._process.wait(LEAVES_WITHIN_S)

    def leave(self) -> int:
        """Tell it to end, wait for that, and give its exit code."""
        self.wake()
        self._process.terminate()
        return self._process.wait(LEAVES_WITHIN_S)


class Crew:
    """All members of one test, by name: started, watched, and started anew when they die."""

    def __init__(self, task: Task, folder: Path) -> None:
        self._task = task
        self._folder = folder
        self._started = 0
        self.members: dict[str, Member] = {}
        self.held_up: Counter[int] = Counter()
        """How often each process was put to sleep."""
        self.deaths = 0
        """How many members ended that nobody had told to."""

    def join(self, name: str | None = None) -> Member:
        """Start a member; without a name it gets one that was never used."""
        self._started += 1
        name = name or f"m{self._started}"
        task = replace(self._task, member=name, seed=self._task.seed + self._started)
        self.members[name] = Member(task, self._folder / f"{name}.log")
        return self.members[name]

    def sleep(self, name: str) -> None:
        """Put a member to sleep."""
        self.members[name].sleep()
        self.held_up[self.members[name].pid] += 1

    def kill(self, name: str) -> None:
        """End a member as a crash would; it is not started again."""
        self.members.pop(name).kill()

    def leave(self, name: str) -> int:
        """Let a member leave in good order; give its exit code, None if it had died before."""
        return self.members.pop(name).leave()

    def supervise(self) -> None:
        """Start those anew, under their names, that ended by themselves."""
        for name, member in list(self.members.items()):
            if not member.is_alive:
                self.deaths += 1
                self.join(name)

    def wake_all(self) -> None:
        """End every sleep."""
        for member in self.members.values():
            member.wake()

    def said(self) -> str:
        """The last words of all members, for a test that failed."""
        logs = sorted(self._folder.glob("*.log"))
        return "\n".join(f"--- {log.name}\n{log.read_text()[-2_000:]}" for log in logs)


async def has_spoken(member: str, store: EventStore, server: Server) -> None:
    """Wait until a member tells the server several times from now on that it is alive."""
    members = store.operations.keys.members("g")
    for _ in range(HEARTBEATS):
        before = server.admin.zscore(members, member) or 0
        await soon(lambda before=before: (server.admin.zscore(members, member) or 0) > before)


@contextmanager
def crew(task: Task, folder: Path) -> Iterator[Crew]:
    """Give a crew whose members all end with the test; their words are shown if it fails."""
    folder.mkdir(exist_ok=True)
    members = Crew(task, folder)
    try:
        yield members
    except BaseException:
        print(members.said())  # noqa: T201 - pytest shows it with the failure
        raise
    finally:
        for name in list(members.members):
            members.kill(name)
