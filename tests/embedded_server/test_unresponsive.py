"""Servers that do not answer are told of, and neither killed nor doubled."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import suppress
from pathlib import Path

import pytest
import redis

from embedded_server.ground import (
    Worker,
    alive,
    eventually,
    get,
    put,
    servers_below,
    starts_logged,
    wheel_binary,
)
from eventstore.errors import StoreUnavailable
from eventstore.server import EmbeddedServer, status
from eventstore.server.locks import is_locked


def test_a_stopped_server_is_reported_in_time_and_neither_killed_nor_doubled(folder: Path) -> None:
    with EmbeddedServer.join(folder) as server:
        put(server, key="value")
        os.kill(server.pid, signal.SIGSTOP)
        try:
            # when
            with pytest.raises(StoreUnavailable, match="does not answer") as failure:
                EmbeddedServer.join(folder, start_timeout_ms=200)
            seen = status(folder, timeout_ms=100)
        finally:
            os.kill(server.pid, signal.SIGCONT)
        # then
        assert str(server.pid) in str(failure.value)
        assert seen is not None
        assert (seen.state, seen.pid) == ("silent", server.pid)
        with EmbeddedServer.join(folder) as again:
            assert again.pid == server.pid
            assert get(again, "key") == "value"


def test_a_server_that_would_not_stop_is_left_running_with_a_warning(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    # given
    server = EmbeddedServer.join(folder, stop_timeout_ms=100)
    os.kill(server.pid, signal.SIGSTOP)
    # when
    server.leave()
    # then
    assert "was not stopped" in caplog.text
    assert alive(server.pid)


def test_a_server_busy_with_a_script_is_reported_and_left_running(
    folder: Path, binary: Path, caplog: pytest.LogCaptureFixture
) -> None:
    # given
    server = EmbeddedServer.join(folder, binary=binary, stop_timeout_ms=500)
    with redis.Redis.from_url(server.url) as client, redis.Redis.from_url(server.url) as other:
        client.config_set("lua-time-limit", 10)

        def spin() -> None:
            with suppress(redis.ResponseError):  # it is killed
                client.eval("while true do end", 0)

        script = threading.Thread(target=spin)
        script.start()
        try:
            eventually(lambda: is_busy(other))
            # when
            with pytest.raises(StoreUnavailable, match="BUSY"):
                EmbeddedServer.join(folder, start_timeout_ms=500)
            server.leave()
            # then
            assert "was not stopped" in caplog.text
            assert alive(server.pid)
        finally:
            other.script_kill()
            script.join()


def is_busy(client: redis.Redis) -> bool:
    try:
        client.ping()
    except redis.ResponseError as error:
        return "BUSY" in str(error)
    return False


def test_leaving_ends_when_nothing_of_the_server_is_left(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    # given: a server with a helper process that lives on for a moment
    lingering = tmp_path / "lingering"
    lingering.write_text(f'#!/bin/sh\nsleep 0.5 &\nexec "{wheel_binary()}" "$@"\n')
    lingering.chmod(0o700)
    # when
    EmbeddedServer.join(folder, binary=lingering).leave()
    # then
    assert not is_locked(folder / "server" / "server.lock")
    assert caplog.text == ""


def test_a_server_whose_socket_was_deleted_is_not_doubled(folder: Path) -> None:
    with EmbeddedServer.join(folder) as server:
        # given
        server.socket_path.rename(folder / "elsewhere")
        # when
        with pytest.raises(StoreUnavailable, match="nothing listens") as failure:
            EmbeddedServer.join(folder, start_timeout_ms=200)
        # then
        assert str(server.pid) in str(failure.value)
        assert [process.pid for process in servers_below(folder)] == [server.pid]
        (folder / "elsewhere").rename(server.socket_path)


def test_a_server_that_loads_for_long_is_reported_goes_on_and_is_joined_later(
    folder: Path, binary: Path, tmp_path: Path
) -> None:
    # given: a server that takes a tenth of a millisecond a key, and answers every 1,024 keys
    with EmbeddedServer.join(folder, binary=binary) as server:
        put(server, **{f"key{number}": "value" for number in range(6_000)})
    slow = tmp_path / "slow-start"
    slow.write_text(f'#!/bin/sh\nexec "{binary}" "$@" --key-load-delay 100\n')
    slow.chmod(0o700)
    # when
    with pytest.raises(StoreUnavailable, match=r"has loaded .* start_timeout_ms"):
        EmbeddedServer.join(folder, binary=slow, start_timeout_ms=400)
    # then
    seen = status(folder)
    assert seen is not None
    assert seen.state == "loading"
    with EmbeddedServer.join(folder, binary=slow) as later:
        assert get(later, "key5999") == "value"
    assert starts_logged(folder) == 2


def test_a_start_or_stop_that_hangs_elsewhere_is_reported_in_time(folder: Path) -> None:
    with EmbeddedServer.join(folder):
        script = "import fcntl, sys; file = open(sys.argv[1]); fcntl.flock(file, fcntl.LOCK_EX)"
        script += "; print('held', flush=True); sys.stdin.read()"
        holder = Worker(script, folder / "server" / "start.lock")
        try:
            assert holder.hears() == "held"
            with pytest.raises(StoreUnavailable, match="starting or stopping"):
                EmbeddedServer.join(folder, start_timeout_ms=100)
        finally:
            holder.close()
