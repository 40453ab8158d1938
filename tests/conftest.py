"""Servers, stores and faults for all tests.

``RUNSTORE_TEST_URL`` adds a server that runs already. ``RUNSTORE_REQUIRE_SERVERS``, a list such as
``valkey,redis6,redis7``, turns the skipping of those into a failure.

A test that uses ``server`` runs on every server there is. Where one is enough, name it:
``@pytest.mark.parametrize("server", ["valkey"], indirect=True)``, or ``pytestmark`` for a file.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NoReturn, cast

import pytest
from faults import MissingError, compile_shim
from offers import offered, required, start
from servers import OWN, AnyServer, Server

from eventstore import EventStore, SyncEventStore

Opener = Callable[..., AbstractAsyncContextManager[EventStore]]


def missing(name: str, error: Exception) -> NoReturn:
    """Skip the test for want of something, or fail it where that is required."""
    if name in required():
        pytest.fail(f"{name} is required, but {error}")
    pytest.skip(str(error))


@pytest.fixture(scope="session", params=offered())
def server(request: pytest.FixtureRequest) -> Iterator[AnyServer]:
    """Give a running server, shared by all tests of the session: leave it as it was.

    ``server.url`` opens stores, ``server.admin`` is a plain redis client giving bytes,
    ``server.name`` is one of valkey, redis6, redis7, url, docker-redis, docker-valkey.
    """
    try:
        found = start(request.param)
    except MissingError as error:
        missing(request.param, error)
    yield found
    found.close()


Launch = Callable[..., Server]


@contextmanager
def launching() -> Iterator[Launch]:
    """Give what ``launch`` gives, for a fixture that lives longer than one test."""
    launched: list[Server] = []

    def start_one(name: str, **details: Any) -> Server:
        try:
            launched.append(Server(name, **details))
        except MissingError as error:
            missing(name, error)
        return launched[-1].start()

    try:
        yield start_one
    finally:
        for each in launched:
            each.close()


@pytest.fixture
def launch() -> Iterator[Launch]:
    """Start servers for one test: ``launch("redis7", tcp=True, options={…})``; see ``Server``."""
    with launching() as launch_one:
        yield launch_one


@pytest.fixture(params=OWN)
def own_server(request: pytest.FixtureRequest, launch: Launch) -> Server:
    """Give a fresh server that the test may kill, pause, resume, restart and fill."""
    return launch(request.param)


@pytest.fixture(scope="session")
def shim() -> Callable[[str], Path]:
    """Give what compiles one of ``shims``, for ``launch(name, preload=shim("slowclock"))``."""

    def compiled(name: str) -> Path:
        try:
            return compile_shim(name)
        except MissingError as error:
            missing("shims", error)

    return compiled


@pytest.fixture
def namespace(request: pytest.FixtureRequest) -> Iterator[str]:
    """Give a namespace that nothing was written to; ``server`` forgets it afterwards."""
    name = f"t-{uuid.uuid4().hex[:12]}"
    yield name
    if "server" in request.fixturenames:
        request.getfixturevalue("server").forget(name)


@pytest.fixture
async def store(server: AnyServer, namespace: str) -> AsyncIterator[EventStore]:
    """Give an asyncio store, open on ``server`` and ``namespace``."""
    async with EventStore.open(server.url, namespace=namespace) as opened:
        yield opened


@pytest.fixture
def sync_store(server: AnyServer, namespace: str) -> Iterator[SyncEventStore]:
    """Give a blocking store, open on ``server`` and ``namespace``."""
    with SyncEventStore.open(server.url, namespace=namespace) as opened:
        yield opened


class InThreads:
    """A blocking store behind the face of the asyncio one: each call runs in a thread."""

    def __init__(self, blocking: SyncEventStore) -> None:
        self._blocking = blocking

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._blocking, name)
        if name in ("read_run", "read_all"):
            return partial(_iterate, value)
        return partial(asyncio.to_thread, value) if callable(value) else value


async def _iterate(read: Callable[..., Iterator[Any]], *args: Any, **named: Any) -> Any:
    events = await asyncio.to_thread(read, *args, **named)
    ended = object()
    while (event := await asyncio.to_thread(next, events, ended)) is not ended:
        yield event


@asynccontextmanager
async def _open_in_threads(url: str | None = None, **options: Any) -> AsyncIterator[EventStore]:
    blocking = await asyncio.to_thread(SyncEventStore.open, url, **options)
    try:
        yield cast("EventStore", InThreads(blocking))
    finally:
        await asyncio.to_thread(blocking.close)


@pytest.fixture(params=["asyncio", "sync"])
def open_any(request: pytest.FixtureRequest) -> Opener:
    """Give ``EventStore.open``, or ``SyncEventStore.open`` behind the same asyncio face.

    ``async with open_any(url, namespace=…, settings=…) as store:``
    """
    return EventStore.open if request.param == "asyncio" else _open_in_threads


@pytest.fixture
async def any_store(
    open_any: Opener, server: AnyServer, namespace: str
) -> AsyncIterator[EventStore]:
    """Give a store on ``server`` and ``namespace``, once asyncio and once blocking."""
    async with open_any(server.url, namespace=namespace) as opened:
        yield opened
