"""A clean store of the incidents has nothing to find, and its decisions are those of its runs."""

from __future__ import annotations

import gzip
import resource
from collections.abc import Iterator, Sequence
from pathlib import Path

import orjson
import pytest
from incidents import incidents_file, made_up_lines
from servers import AnyServer

from audit.ground import Ground, flipped
from eventstore import RecordedEvent, SyncEventStore
from projections.state import RunState
from replay.audit import SyncAudit
from replay.importing import Importer

pytestmark = [
    pytest.mark.parametrize("server", ["valkey"], indirect=True),
    pytest.mark.timeout(300),
]
MEMORY_BYTES = 100 * 1_048_576


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the file of incidents: the real one, or made-up ones."""
    path = incidents_file()
    if path is None:
        path = tmp_path_factory.mktemp("lines") / "lines.jsonl.gz"
        with gzip.open(path, "wb") as file:
            file.writelines(orjson.dumps(line) + b"\n" for line in made_up_lines())
    return path


@pytest.fixture
def ground(server: AnyServer, namespace: str, tmp_path: Path, lines: Path) -> Iterator[Ground]:
    """Give a store of the incidents, archived and projected."""
    path = tmp_path / "a.db"
    with SyncEventStore.open(server.url, namespace=namespace, archive=path) as store:
        Importer(store).run(lines)
        made = Ground(store, server, tmp_path)
        made.follow(batch_events=1_000)
        yield made


def completes(_state: RunState, so_far: Sequence[RecordedEvent]) -> list[str]:
    """Decide that a run ends when its node was completed."""
    if so_far and so_far[-1].type == "node.completed":
        return ["run.completed"]
    return []


def test_a_clean_store_of_the_incidents_has_nothing_to_find(
    ground: Ground,
) -> None:
    # given how much memory the process took before
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # when everything is checked / then all of it was, and nothing is found
    found = ground.verify()
    assert (found.findings, found.unchecked, found.exit_code) == ((), (), 0)
    total = sum(end.n for end in ground.store.tails().values())
    assert found.archive is not None
    assert found.events == found.archive.events == found.archive.compared == total
    assert found.runs == found.archive.runs
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown * 1_024 < MEMORY_BYTES
    # and a workflow that ends a run whenever a node is completed
    checked = SyncAudit(ground.store).check(completes, decides={"run.completed"})
    # differs from each run that ended behind another event
    ended_otherwise = 0
    for run_id in {event.run_id for event in ground.store.read_all() if event.version == 1}:
        kinds = [event.type for event in ground.store.load(run_id)]
        if "run.completed" in kinds:
            ended_otherwise += kinds[kinds.index("run.completed") - 1] != "node.completed"
    assert checked.diverged == ended_otherwise
    # and one flipped byte among all of them is
    event = next(event for event in ground.store.read_all() if event.version == 3)
    entry = flipped(ground.in_run(event.run_id, 3))
    ground.replace_in_run(event.run_id, {3: entry})
    found = ground.verify(projections=())
    assert {(one.run_id, one.version) for one in found.findings} == {(event.run_id, 3)}
    assert {"run", "log"} <= {one.part for one in found.findings}
