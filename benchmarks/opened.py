"""Both stores, open on one namespace for as long as a subject is measured."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from benchmarks.ground import Ground
from eventstore import EventStore, SyncEventStore
from eventstore.keys import Keys

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Stores:
    """An open store for threads, and one for asyncio with its loop."""

    namespace: str
    blocking: SyncEventStore
    asynchronous: EventStore
    runner: asyncio.Runner

    @property
    def keys(self) -> Keys:
        """The keys of the namespace."""
        return self.blocking.operations.keys

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the loop of the asyncio store."""
        return self.runner.run(work)


@contextmanager
def opened(ground: Ground, what: str, archive: Path | None = None) -> Iterator[Stores]:
    """Open both stores on a new namespace, and delete it in the end."""
    namespace = ground.new_name(what)
    with (
        asyncio.Runner() as runner,
        SyncEventStore.open(ground.url, namespace=namespace, archive=archive) as blocking,
    ):
        url = _named(ground.url, namespace)
        store = EventStore.open(url, namespace=namespace, archive=archive)
        runner.run(store.start())
        try:
            yield Stores(namespace, blocking, store, runner)
        finally:
            runner.run(store.close())
            ground.forget(namespace)


def _named(url: str, name: str) -> str:
    """Let the server know whose connections these are, so that they can be counted."""
    return f"{url}{'&' if '?' in url else '?'}client_name={name}"
