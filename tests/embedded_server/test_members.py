"""From the first member to the last: one server for all who share a folder."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Callable
from pathlib import Path

import redis

from embedded_server.ground import (
    JOIN,
    LEAVE,
    PATIENCE_S,
    Worker,
    alive,
    config,
    get,
    kill_server,
    put,
    starts_logged,
)
from eventstore.server import EmbeddedServer

FORK = """
import os, sys
from eventstore.server import EmbeddedServer
print("ready", flush=True)
sys.stdin.readline()
server = EmbeddedServer.join(sys.argv[1])
child = os.fork()
if child == 0:
    server.leave()
    sys.exit(0)
os.waitpid(child, 0)
print(server.pid, flush=True)
sys.stdin.readline()
server.leave()
"""
COUNT = """
import sys
import redis
from eventstore.server import EmbeddedServer
for _ in range(int(sys.argv[2])):
    with EmbeddedServer.join(sys.argv[1]) as server:
        with redis.Redis.from_url(server.url) as client:
            client.incr("count")
"""


def test_what_was_written_is_there_after_the_last_left_and_someone_joins_again(
    folder: Path, binary: Path
) -> None:
    # given
    with EmbeddedServer.join(folder, binary=binary) as first:
        put(first, key="value")
    assert not alive(first.pid)
    # when
    with EmbeddedServer.join(folder, binary=binary) as second:
        # then
        assert get(second, "key") == "value"
        assert second.pid != first.pid
        assert second.url == first.url


def test_a_server_killed_outright_comes_back_with_all_that_was_acknowledged(
    folder: Path, binary: Path
) -> None:
    # given
    with EmbeddedServer.join(folder, binary=binary) as first:
        put(first, **{f"key{number}": "value" for number in range(100)})
        # when
        kill_server(first.pid)
        with EmbeddedServer.join(folder, binary=binary) as second:
            # then
            assert second.pid != first.pid
            assert all(get(second, f"key{number}") == "value" for number in range(100))


def test_the_server_runs_as_a_store_needs_it(folder: Path, binary: Path) -> None:
    with EmbeddedServer.join(folder, binary=binary) as server:
        assert config(server, "appendonly") == "yes"
        assert config(server, "appendfsync") == "everysec"
        assert config(server, "maxmemory-policy") == "noeviction"
        assert config(server, "save") == ""
        assert config(server, "port") == "0"


def test_only_the_owner_can_reach_the_server_and_its_files(folder: Path, binary: Path) -> None:
    before = os.umask(0)
    try:
        with EmbeddedServer.join(folder, binary=binary) as server:
            put(server, key="value")
            kept = [folder, folder / "server", *(folder / "server").rglob("*")]
            modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in kept}
    finally:
        os.umask(before)
    assert modes["server.sock"] == 0o700
    assert modes["store"] == modes["server"] == 0o700
    assert {name: oct(mode) for name, mode in modes.items() if mode & 0o077} == {}


def test_ten_processes_at_once_start_one_server(
    folder: Path, worker: Callable[..., Worker]
) -> None:
    # given
    workers = [worker(LEAVE, folder) for _ in range(10)]
    assert {each.hears() for each in workers} == {"ready"}
    # when
    for each in workers:
        each.tell()
    pids = {int(each.hears()) for each in workers}
    # then
    assert len(pids) == 1
    assert starts_logged(folder) == 1
    assert [each.end() for each in workers] == [0] * 10
    assert not alive(pids.pop())


def test_joining_while_the_last_leaves_never_makes_two_servers_or_loses_a_write(
    folder: Path, worker: Callable[..., Worker]
) -> None:
    # given
    processes, rounds = 3, 15
    # when
    workers = [worker(COUNT, folder, str(rounds)) for _ in range(processes)]
    assert [each.process.wait(PATIENCE_S) for each in workers] == [0] * processes
    # then
    with EmbeddedServer.join(folder) as server:
        assert get(server, "count") == str(processes * rounds)


def test_members_in_threads_of_one_process_count_one_by_one(folder: Path) -> None:
    # given
    failures: list[BaseException] = []

    def count() -> None:
        try:
            for _ in range(10):
                with (
                    EmbeddedServer.join(folder) as server,
                    redis.Redis.from_url(server.url) as client,
                ):
                    client.incr("count")
        except BaseException as failure:  # noqa: BLE001 - shown below
            failures.append(failure)

    threads = [threading.Thread(target=count) for _ in range(4)]
    # when
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # then
    assert failures == []
    with EmbeddedServer.join(folder) as server:
        assert get(server, "count") == "40"


def test_the_server_stays_until_the_last_of_several_members_leaves(folder: Path) -> None:
    # given
    first, second = EmbeddedServer.join(folder), EmbeddedServer.join(folder)
    assert first.pid == second.pid
    # when
    first.leave()
    first.leave()
    # then
    assert alive(second.pid)
    assert get(second, "key") is None
    # when
    second.leave()
    # then
    assert not alive(second.pid)
    assert not second.socket_path.exists()


def test_a_process_that_ends_without_leaving_has_left(
    folder: Path, worker: Callable[..., Worker]
) -> None:
    forgetful = worker(JOIN, folder)
    pid = forgetful.join()
    assert forgetful.end() == 0
    assert not alive(pid)


def test_a_forked_child_that_leaves_takes_nothing_from_its_parent(
    folder: Path, worker: Callable[..., Worker]
) -> None:
    # given
    parent = worker(FORK, folder)
    # when
    pid = parent.join()
    # then
    assert alive(pid)
    assert parent.end() == 0
    assert not alive(pid)
