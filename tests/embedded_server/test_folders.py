"""Folders with long or odd names, full, read-only, deleted under the server."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from embedded_server.ground import (
    JOIN,
    LEAVE,
    PATIENCE_S,
    PROJECT,
    Worker,
    alive,
    eventually,
    get,
    kill_server,
    put,
)
from eventstore.errors import StoreUnavailable
from eventstore.server import EmbeddedServer


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
