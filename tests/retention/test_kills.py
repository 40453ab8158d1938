"""The trimmer is killed at every step it takes; nothing is missing, and the next round goes on."""

from __future__ import annotations

import itertools
import signal
import subprocess
import sys
import uuid
from pathlib import Path

from faults import PROJECT
from samples import ended, noted, notes, paused
from servers import AnyServer

from retention.ground import Ground, expired

PROGRAM = Path(__file__).with_name("killed_trimmer.py")
LEFT = ["live"]
DROPPED = ["ended", "parked"]


def history(ground: Ground) -> None:
    """Write runs of every kind, and more entries than one call removes."""
    for _ in range(3):
        ground.append("live", *notes(100))
    ground.append("ended", noted(), ended())
    ground.append("parked", paused(), expired())
    ground.archive()
    ground.append("live", noted("not archived yet"))


def trim_and_kill(ground: Ground, at: int) -> bool:
    """Trim in a process that is killed at a step; say whether it was."""
    done = subprocess.run(
        [
            sys.executable,
            str(PROGRAM),
            ground.server.url,
            ground.namespace,
            str(ground.path),
            str(at),
        ],
        cwd=PROJECT,
        check=False,
        env={"PYTHONPATH": str(PROJECT)},
    )
    assert done.returncode in (0, -signal.SIGKILL)
    return done.returncode != 0


def assert_whole(ground: Ground) -> None:
    """Every reader gives everything, once."""
    for run, events in ground.runs.items():
        assert ground.store.load(run) == events
    assert list(ground.store.read_all()) == ground.all


def test_killed_at_any_step_nothing_is_missing_and_the_next_round_ends_it(
    server: AnyServer, namespace: str, tmp_path: Path
) -> None:
    for step in itertools.count(1):
        name = f"{namespace}-{uuid.uuid4().hex[:6]}"
        with Ground(server, name, tmp_path, partitions=2) as ground:
            history(ground)
            was_killed = trim_and_kill(ground, step)
            assert_whole(ground)
            ground.append("live", noted("after the kill"))
            ground.archive_and_trim()
            assert_whole(ground)
            assert [run for run in LEFT if not ground.holds_stream(run)] == []
            assert [run for run in DROPPED if ground.holds_stream(run)] == []
            with ground.opened_archive() as archive:
                assert archive.cold_runs(10) == []
            assert [ground.length(p) for p in ground.log] == [1, 1]
        server.forget(name)
        if not was_killed:
            break
    assert step > 20, "the hook counted too few calls to prove anything"
