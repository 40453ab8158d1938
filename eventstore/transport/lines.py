"""Connections to the server: several calls go out together, the replies come back raw.

redis-py keeps the connections; retries and reply shapes are ours. Its own retries are off (they
would write twice) and protocol 2 is pinned (replies have one shape). Reads that block at the
server have connections and a time-out of their own.
"""

from __future__ import annotations

import asyncio
import hashlib
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any, TypeVar

import redis.asyncio.connection as asyncio_redis
import redis.asyncio.sentinel as asyncio_sentinel
import redis.connection as blocking_redis
import redis.sentinel as blocking_sentinel
from hiredis import pack_command
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError
from redis.retry import Retry

from eventstore.commands import Command, script_text
from eventstore.settings import Settings
from eventstore.transport.failures import (
    BROKEN,
    ERROR_REPLIES,
    ConnectionLost,
    connecting_failed,
)
from eventstore.transport.pipe import Pipe, Words
from eventstore.transport.target import Target

T = TypeVar("T")

SENT_BYTES = 65_536
"""So much is sent at once where more is to be sent."""


@cache
def _sha(script: str) -> str:
    return hashlib.sha1(script_text(script).encode(), usedforsecurity=False).hexdigest()


def words_of(command: Command[Any]) -> Words:
    """Give what is sent for a command."""
    if command.script is None:
        return command.words
    return ("EVALSHA", _sha(command.script), *command.words)


def _packed(calls: Sequence[Words]) -> Iterator[bytes]:
    """Write calls as RESP. redis-py's asyncio half does this in Python, six times as slowly.

    Small ones go out together: sent one by one, each would wake the server. Of large ones the
    server does the first while the next is written.
    """
    packed: list[bytes] = []
    size_bytes = 0
    for words in calls:
        packed.append(pack_command(words))
        size_bytes += len(packed[-1])
        if size_bytes >= SENT_BYTES:
            yield b"".join(packed)
            packed, size_bytes = [], 0
    if packed:
        yield b"".join(packed)


def _loading(commands: Sequence[Command[Any]], places: Sequence[int]) -> list[Words]:
    """Give what loads the scripts of these commands and sends the commands again."""
    scripts = sorted({script for p in places if (script := commands[p].script)})
    loads: list[Words] = [("SCRIPT", "LOAD", script_text(script)) for script in scripts]
    return loads + [words_of(commands[place]) for place in places]


def _unanswered(commands: Sequence[Command[Any]], replies: Sequence[Any]) -> list[int]:
    """Give the places of the calls to send again, when the server lacks scripts (a restart).

    Plain calls behind such a script go along: they may ask for its confirmation.
    """
    unknown = [place for place, reply in enumerate(replies) if isinstance(reply, NoScriptError)]
    behind = range(min(unknown, default=len(replies)), len(replies))
    return [place for place in behind if place in unknown or commands[place].script is None]


def _pool(
    connections: Any,
    sentinels: Any,
    retry: Any,
    target: Target,
    settings: Settings,
    reply_timeout_s: float | None,
) -> Any:
    """Make a pool from the asyncio or the blocking half of redis-py."""
    connect_timeout_s = settings.connect_timeout_ms / 1000
    options = {
        **target.options,
        "decode_responses": False,
        "protocol": 2,
        "retry": retry,
        "retry_on_error": [],
        "health_check_interval": 0,
        "socket_timeout": reply_timeout_s,
        "socket_connect_timeout": connect_timeout_s,
    }
    if target.service is not None:
        how = {"socket_timeout": connect_timeout_s, "socket_connect_timeout": connect_timeout_s}
        watch = sentinels.Sentinel(target.sentinels, sentinel_kwargs={**how, "retry": retry})
        return sentinels.SentinelConnectionPool(target.service, watch, **options)
    kind = connections.SSLConnection if target.tls else connections.Connection
    if "path" in options:
        del options["socket_connect_timeout"]
        kind = connections.UnixDomainSocketConnection
    return connections.ConnectionPool(connection_class=kind, **options)


def _sentinels_of(pool: Any) -> list[Any]:
    """Give the clients by which a pool asks the sentinels; none without sentinels."""
    manager = getattr(pool, "sentinel_manager", None)
    return manager.sentinels if manager else []


class AsyncLine:
    """A bounded set of connections for asyncio; see the module.

    ``extra_ms`` is how long a reply may take beyond ``reply_timeout_ms``, because the server
    itself waits.
    """

    def __init__(self, target: Target, settings: Settings, *, extra_ms: int = 0) -> None:
        # redis-py's own time-outs wrap each send in a task, and on Python 3.11 that may swallow
        # a cancellation: one time-out of ours bounds the whole exchange instead.
        retry = AsyncRetry(NoBackoff(), 0)
        self._pool = _pool(asyncio_redis, asyncio_sentinel, retry, target, settings, None)
        self._room = asyncio.Semaphore(settings.max_connections)
        self._connect_timeout_s = settings.connect_timeout_ms / 1000
        self._reply_timeout_s = (settings.reply_timeout_ms + extra_ms) / 1000

    async def exchange(self, commands: Sequence[Command[Any]]) -> list[Any]:
        """Send all, read all: replies as RESP2 gives them, error replies as exceptions.

        Raises ``ConnectionLost``, or ``ServerRefused`` where connecting can never work.
        """
        async with self._room:
            connection = await self._connect()
            try:
                async with asyncio.timeout(self._reply_timeout_s):
                    return await self._converse(connection, commands)
            except BROKEN as error:
                await connection.disconnect(nowait=True)
                raise ConnectionLost(error, sent=True) from error
            except BaseException:
                # Cancelled while replies were under way: the next user must not read them.
                await connection.disconnect(nowait=True)
                raise
            finally:
                await self._pool.release(connection)

    async def pipe(
        self, answered: Callable[[T, Any], None], lost: Callable[[list[T], ConnectionLost], None]
    ) -> Pipe[T]:
        """Open a connection that takes calls before the replies to others are there.

        Raises as ``exchange`` does.
        """
        connection = await self._connect()
        return Pipe(connection, self._reply_timeout_s, self._pool.release, answered, lost)

    async def _connect(self) -> Any:
        try:
            async with asyncio.timeout(self._connect_timeout_s):
                return await self._pool.get_connection()
        except BROKEN as error:
            if final := connecting_failed(error):
                raise final from None
            raise ConnectionLost(error, sent=False) from error

    async def _converse(self, connection: Any, commands: Sequence[Command[Any]]) -> list[Any]:
        replies = await self._talk(connection, [words_of(c) for c in commands])
        places = _unanswered(commands, replies)
        if places:
            again = await self._talk(connection, _loading(commands, places))
            for place, reply in zip(places, again[-len(places) :], strict=True):
                replies[place] = reply
        return replies

    async def _talk(self, connection: Any, calls: Sequence[Words]) -> list[Any]:
        await connection.send_packed_command(list(_packed(calls)), check_health=False)
        replies: list[Any] = []
        for _ in calls:
            try:
                replies.append(await connection.read_response())
            except ERROR_REPLIES as error:
                replies.append(error)
        return replies

    async def forget_idle(self) -> None:
        """Close the connections that are not in use; the next one asks anew who is the primary."""
        await self._pool.disconnect(inuse_connections=False)

    async def close(self) -> None:
        """Close all connections."""
        await self._pool.disconnect()
        for sentinel in _sentinels_of(self._pool):
            await sentinel.aclose()


def _nothing() -> None:
    """Wait for the replies at once."""


class BlockingLine:
    """A bounded set of connections for threads; see the module."""

    def __init__(self, target: Target, settings: Settings, *, extra_ms: int = 0) -> None:
        retry = Retry(NoBackoff(), 0)
        timeout_s = (settings.reply_timeout_ms + extra_ms) / 1000
        self._pool = _pool(blocking_redis, blocking_sentinel, retry, target, settings, timeout_s)
        self._room = threading.BoundedSemaphore(settings.max_connections)

    def exchange(
        self, commands: Sequence[Command[Any]], meanwhile: Callable[[], None] = _nothing
    ) -> list[Any]:
        """Send all, read all; the blocking twin of ``AsyncLine.exchange``.

        ``meanwhile`` is called in between, while the server is at work.
        """
        with self._room:
            connection = self._connect()
            try:
                return self._converse(connection, commands, meanwhile)
            except BROKEN as error:
                connection.disconnect()
                raise ConnectionLost(error, sent=True) from error
            except BaseException:
                connection.disconnect()
                raise
            finally:
                self._pool.release(connection)

    def _converse(
        self, connection: Any, commands: Sequence[Command[Any]], meanwhile: Callable[[], None]
    ) -> list[Any]:
        replies = self._talk(connection, [words_of(c) for c in commands], meanwhile)
        places = _unanswered(commands, replies)
        if places:
            again = self._talk(connection, _loading(commands, places))
            for place, reply in zip(places, again[-len(places) :], strict=True):
                replies[place] = reply
        return replies

    def _connect(self) -> Any:
        try:
            return self._pool.get_connection()
        except BROKEN as error:
            if final := connecting_failed(error):
                raise final from None
            raise ConnectionLost(error, sent=False) from error

    def _talk(
        self, connection: Any, calls: Sequence[Words], meanwhile: Callable[[], None] = _nothing
    ) -> list[Any]:
        connection.send_packed_command(_packed(calls), check_health=False)
        meanwhile()
        replies: list[Any] = []
        for _ in calls:
            try:
                replies.append(connection.read_response())
            except ERROR_REPLIES as error:
                replies.append(error)
        return replies

    def forget_idle(self) -> None:
        """Close the connections that are not in use; the next one asks anew who is the primary."""
        self._pool.disconnect(inuse_connections=False)

    def close(self) -> None:
        """Close all connections."""
        self._pool.disconnect()
        for sentinel in _sentinels_of(self._pool):
            sentinel.close()
