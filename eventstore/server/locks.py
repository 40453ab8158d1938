"""Locks between processes, and bounded waiting for them.

The locks are ``flock``: the kernel drops them with the last process that has the file open, so a
killed process leaves none behind. They belong to the opening of a file, not to the process, and
they need a local file system.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from eventstore.clock import Monotonic, monotonic
from eventstore.errors import StoreUnavailable

POLL_S = 0.005


@dataclass(frozen=True, slots=True)
class Deadline:
    """The moment at which waiting ends."""

    timeout_ms: int
    ends_at_s: float
    clock: Monotonic

    @classmethod
    def after(cls, timeout_ms: int, clock: Monotonic = monotonic) -> Deadline:
        """Let waiting end ``timeout_ms`` from now."""
        return cls(timeout_ms, clock() + timeout_ms / 1000, clock)

    def left_s(self) -> float:
        """Give the seconds that remain; 0.0 when time is up."""
        return max(0.0, self.ends_at_s - self.clock())

    def pause(self) -> bool:
        """Wait a moment before the next try; False when no time is left for one."""
        time.sleep(min(POLL_S, self.left_s()))
        return self.left_s() > 0

    def wait_for(self, condition: Callable[[], bool]) -> bool:
        """Ask until the condition holds; False when time was up first."""
        while not condition():
            if not self.pause():
                return False
        return True


def open_lock(path: Path) -> int:
    """Open a lock file, making it when missing; programs started from here do not inherit it."""
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def try_lock(descriptor: int, *, exclusive: bool) -> bool:
    """Take or change a lock if nobody stands in the way. A refused change drops the old lock."""
    kind = fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def take_lock(descriptor: int, *, exclusive: bool, deadline: Deadline, busy: str) -> None:
    """Take a lock within the deadline; raises ``StoreUnavailable`` with ``busy`` as its reason."""
    if not deadline.wait_for(lambda: try_lock(descriptor, exclusive=exclusive)):
        raise StoreUnavailable(f"{busy} (waited {deadline.timeout_ms} ms)")


def unlock(descriptor: int) -> None:
    """Drop the lock, also for copies of the descriptor that a fork left in a child."""
    fcntl.flock(descriptor, fcntl.LOCK_UN)


def is_locked(path: Path) -> bool:
    """Say whether someone holds an exclusive lock on the file."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        return not try_lock(descriptor, exclusive=False)
    finally:
        os.close(descriptor)


@contextmanager
def holding(path: Path, deadline: Deadline, busy: str) -> Iterator[None]:
    """Hold the exclusive lock on a file."""
    descriptor = open_lock(path)
    try:
        take_lock(descriptor, exclusive=True, deadline=deadline, busy=busy)
        yield
    finally:
        unlock(descriptor)
        os.close(descriptor)
