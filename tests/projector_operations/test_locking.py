"""One projector a database: a second one waits, or says who has it."""

from __future__ import annotations

import os
import socket
import threading
from pathlib import Path

import pytest
from faults import Python
from histories import ListLog

from eventstore.errors import StoreMismatch
from projections import Database, Projector, projector_status
from projections.database.projector_lock import projector_lock
from projector_operations.samples import a_log

HOLD = """
import sys
from pathlib import Path
from projections.database.projector_lock import projector_lock
projector_lock(Path(sys.argv[1])).acquire()
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def log() -> ListLog:
    return ListLog(a_log(3))


def test_who_holds_it_is_named_with_process_machine_and_time(
    log: ListLog, database: Database
) -> None:
    with Python(HOLD, database.path) as other, Projector(log, database) as projector:
        assert other.line() == "held"
        with pytest.raises(StoreMismatch, match=f"process {other.pid} on .* since 20") as caught:
            projector.run_once()
        assert caught.value.holder_pid == other.pid
        assert caught.value.holder_host == socket.gethostname()
        assert caught.value.since.endswith("Z")
        holder = projector_status(database).holder
        assert holder is not None
        assert holder.pid == other.pid


def test_it_dies_with_its_owner(log: ListLog, database: Database) -> None:
    with Python(HOLD, database.path) as other, Projector(log, database) as projector:
        assert other.line() == "held"
        other.kill()
        assert projector.run_to_end() == len(log.events)
    assert projector_status(database).holder is None


def test_a_second_projector_waits_if_it_is_told_to(log: ListLog, database: Database) -> None:
    with Projector(log, database) as first:
        first.run_once()
        waiting = Projector(log, database, lock_timeout_s=None)
        done = threading.Event()
        thread = threading.Thread(target=lambda: (waiting.run_to_end(), done.set()))
        thread.start()
        assert not done.wait(0.1)
        first.close()
        assert done.wait(10)
        thread.join()
        waiting.close()


def test_a_second_projector_waits_only_so_long(log: ListLog, database: Database) -> None:
    with Projector(log, database) as first:
        first.run_once()
        with (
            Projector(log, database, lock_timeout_s=0.1) as second,
            pytest.raises(StoreMismatch, match=str(os.getpid())),
        ):
            second.run_once()


def test_one_that_waits_can_be_stopped(log: ListLog, database: Database) -> None:
    stop = threading.Event()
    with (
        Projector(log, database) as first,
        Projector(log, database, lock_timeout_s=None) as second,
    ):
        first.run_once()
        found: list[int] = []
        thread = threading.Thread(target=lambda: found.append(second.run(stop)))
        thread.start()
        stop.set()
        thread.join(10)
        assert found == [0]


def test_a_lock_that_nobody_wrote_into_names_nobody(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    lock = projector_lock(path)
    assert lock.holder() is None
    lock.acquire()
    lock.path.write_text("?")
    assert projector_lock(path).holder() is None
    with pytest.raises(StoreMismatch, match="gave no name"):
        projector_lock(path).acquire()
    lock.release()
