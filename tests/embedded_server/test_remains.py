"""Killed members, and what they and dead servers leave behind."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from embedded_server.ground import (
    LEAVE,
    Worker,
    alive,
    get,
    kill_server,
    put,
    servers_below,
    starts_logged,
)
from eventstore.errors import InvalidArgument, ServerRefused
from eventstore.server import EmbeddedServer


def test_killing_the_one_that_started_the_server_leaves_it_to_the_others(
    folder: Path, worker: Callable[..., Worker]
) -> None:
    # given
    starter = worker(LEAVE, folder)
    pid = starter.join()
    with EmbeddedServer.join(folder) as other:
        # when
        starter.kill()
        # then
        put(other, key="value")
        assert get(other, "key") == "value"
        assert other.pid == pid
    assert not alive(pid)


def test_a_server_whose_members_were_all_killed_is_taken_over(
    folder: Path, worker: Callable[..., Worker]
) -> None:
    # given
    workers = [worker(LEAVE, folder), worker(LEAVE, folder)]
    pids = {each.join() for each in workers}
    # when
    for each in workers:
        each.kill()
    # then
    with EmbeddedServer.join(folder) as heir:
        assert {heir.pid} == pids
    assert not alive(heir.pid)


def test_stale_socket_and_pid_files_are_cleared_away_and_no_stranger_is_harmed(
    folder: Path,
) -> None:
    # given: what a crash leaves, and a pid that meanwhile belongs to somebody else
    with EmbeddedServer.join(folder) as crashed:
        put(crashed, key="value")
        kill_server(crashed.pid)
        stranger = subprocess.Popen(["sleep", "600"])
        try:
            (folder / "server" / "server.pid").write_text(f"{stranger.pid}\n")
            assert crashed.socket_path.exists()
            # when
            with EmbeddedServer.join(folder) as server:
                # then
                assert server.pid not in {stranger.pid, crashed.pid}
                assert get(server, "key") == "value"
            assert stranger.poll() is None
        finally:
            stranger.kill()
            stranger.wait()


def test_a_dead_server_is_never_started_twice_by_its_members(folder: Path) -> None:
    # given
    with EmbeddedServer.join(folder) as first, EmbeddedServer.join(folder) as second:
        put(first, key="value")
        kill_server(first.pid)
        # when
        first.ensure_running()
        second.ensure_running()
        # then
        assert first.pid == second.pid
        assert get(second, "key") == "value"
    assert starts_logged(folder) == 2
    with pytest.raises(InvalidArgument, match="join the folder again"):
        first.ensure_running()


def test_a_log_cut_in_its_last_entry_is_loaded_up_to_there(folder: Path, binary: Path) -> None:
    # given
    with EmbeddedServer.join(folder, binary=binary) as server:
        put(server, first="1", second="2")
    path = append_only_file(folder)
    path.write_bytes(path.read_bytes()[:-5])
    # when
    with EmbeddedServer.join(folder, binary=binary) as server:
        # then
        assert get(server, "first") == "1"
        assert get(server, "second") is None


def test_data_that_are_damaged_inside_are_refused_with_the_log_and_what_to_do(
    folder: Path, binary: Path
) -> None:
    # given
    with EmbeddedServer.join(folder, binary=binary) as server:
        put(server, **{f"key{number}": "value" * 20 for number in range(50)})
    path = append_only_file(folder)
    content = path.read_bytes()
    middle = len(content) // 2
    path.write_bytes(content[:middle] + b"?" * 200 + content[middle + 200 :])
    # when
    with pytest.raises(ServerRefused) as refusal:
        EmbeddedServer.join(folder, binary=binary)
    # then
    assert "Bad file format" in str(refusal.value)
    assert "redis-check-aof --fix" in str(refusal.value)
    assert "ready to exit" not in str(refusal.value), "that is what earlier servers logged"
    assert servers_below(folder) == []


def append_only_file(folder: Path) -> Path:
    return max((folder / "server").rglob("*.aof"), key=lambda path: path.stat().st_size)
