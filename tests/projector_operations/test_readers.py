"""Readers in other processes, while rows are rebuilt and put in place: old rows or new, never both.

``RUNSTORE_TEST_QUERIES`` is how many queries they make; a few thousand without it.
"""

from __future__ import annotations

import os
import select
import subprocess
import sys
from pathlib import Path

import pytest

from projections import Projector, open_database, rebuild, verify
from projector_operations import reading
from projector_operations.reading import LOG, PROJECTIONS, Marked

QUERIES = int(os.environ.get("RUNSTORE_TEST_QUERIES", "4000"))
READERS = 4
SCRIPT = Path(reading.__file__)


def start(path: Path) -> subprocess.Popen[bytes]:
    folders = os.pathsep.join(map(str, SCRIPT.parents[1:3]))
    return subprocess.Popen(
        [sys.executable, str(SCRIPT), str(path), str(QUERIES // READERS)],
        env={**os.environ, "PYTHONPATH": folders},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,  # what was read ahead, select would not know of
    )


@pytest.mark.timeout(600)
def test_readers_see_old_rows_or_new_ones_and_none_fails(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given rows, and four processes that read them
    with open_database(path) as database, Projector(LOG, database, PROJECTIONS) as projector:
        projector.run_to_end()
        readers = [start(path) for _ in range(READERS)]
        for reader in readers:
            assert reader.stdout is not None
            assert reader.stdout.readline() == b"ready\n"
        # when they are rebuilt again and again, each time with another mark, until all read enough
        waiting, switches = [reader.stdout for reader in readers], 0
        while switches < 5 or waiting:
            switches += 1
            monkeypatch.setattr(Marked, "mark", switches)
            rebuild(LOG, database, projections=PROJECTIONS)
            projector.run_to_end()
            for output in select.select(waiting, [], [], 0)[0]:
                assert output.readline() == b"enough\n", readers[0].communicate()
                waiting.remove(output)
        # then none failed, and none saw two marks at once
        ended = [reader.communicate(timeout=60) for reader in readers]
        assert [error for _, error in ended] == [b""] * READERS
        assert sum(int(out) for out, _ in ended) >= QUERIES
        assert verify(LOG, database, projections=PROJECTIONS).found == 0
    print(f"{sum(int(out) for out, _ in ended):,} queries during {switches} rebuilds")  # noqa: T201
