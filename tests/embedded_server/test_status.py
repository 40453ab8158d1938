"""Looking at a server without touching it."""

from __future__ import annotations

import os
from pathlib import Path

import psutil

from embedded_server.ground import kill_server, servers_below
from eventstore.server import EmbeddedServer, status


def test_status_tells_what_runs_and_makes_nothing(folder: Path, binary: Path) -> None:
    # given
    assert status(folder) is None
    assert not folder.exists()
    with EmbeddedServer.join(folder, binary=binary) as server:
        # when
        seen = status(folder)
        # then
        assert seen is not None
        assert seen.running
        assert (seen.pid, seen.url) == (server.pid, server.url)
        assert seen.binary is not None
        assert seen.binary.path == binary
    # when
    after = status(folder)
    # then
    assert after is not None
    assert (after.state, after.pid, after.running) == ("stopped", None, False)
    assert servers_below(folder) == []


def test_status_of_a_crashed_server_is_stopped_whatever_its_files_say(folder: Path) -> None:
    with EmbeddedServer.join(folder) as server:
        kill_server(server.pid)
        seen = status(folder)
        assert seen is not None
        assert (seen.state, seen.pid) == ("stopped", None)


def test_the_starting_process_keeps_no_child_and_the_server_no_terminal(folder: Path) -> None:
    with EmbeddedServer.join(folder) as server:
        assert os.getsid(server.pid) != os.getsid(0)
        assert server.pid not in {child.pid for child in psutil.Process().children(recursive=True)}
