"""What must be true of runs that many processes raced for, and of what these were told."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import orjson
from replaying import types
from signals.laws import assert_lawful

from eventstore import RecordedEvent
from replay.context import FROM_OUTSIDE
from replay.expiry import WITHOUT_WORKER

ENDS = ("run.completed", "run.failed", "run.aborted")
Told = dict[str, list[tuple[str, str, list[Any]]]]
"""By run: who was told what, and its particulars."""


def read_journals(folder: Path) -> Told:
    """Give what each process was told of each run."""
    told: Told = defaultdict(list)
    for path in sorted(folder.iterdir()):
        for line in path.read_bytes().splitlines():
            what, run_id, *more = orjson.loads(line)
            told[run_id].append((path.name, what, more))
    return told


def assert_one_winner(
    events: Sequence[RecordedEvent],
    told: Sequence[tuple[str, str, list[Any]]],
    survivors: Collection[str],
) -> None:
    """Check all laws of one run that has ended; survivors were neither killed nor left in doubt."""
    assert_lawful(events)
    _one_worker_each(events)
    _contexts_are_whole(events)
    told_the_truth(events, told, survivors)


def assert_handed_on(events: Sequence[RecordedEvent]) -> None:
    """Check that a run which goes on without a worker of its own was handed to one."""
    last = [e for e in events if e.type not in FROM_OUTSIDE or e.type == "run.resumed"][-1]
    before = events[last.version - 2]
    if last.type == "run.resumed" and before.type != "run.paused":  # else its worker goes on
        assert last.data["cause"] not in WITHOUT_WORKER, types(events)


def _one_worker_each(events: Sequence[RecordedEvent]) -> None:
    """Check that the run always stood where it may: after each resume one worker goes on."""
    steps = [e.type for e in events if e.type not in FROM_OUTSIDE or e.type == "run.resumed"]
    follows = {
        "run.created": {"run.paused"},
        "run.paused": {"run.resumed"},
        "run.resumed": {"node.started", "run.recovered"},
        "run.recovered": {"node.started", "run.recovered"},
        "node.started": {"run.paused", "run.completed", "run.recovered"},
    }
    for step, after in pairwise(steps):
        assert after in {*follows[step], "run.failed", "run.aborted"}, steps
    assert steps[-1] in ENDS, steps
    expired = Counter(e.data["pause_id"] for e in events if e.type == "run.window_expired")
    assert all(times == 1 for times in expired.values())


def _contexts_are_whole(events: Sequence[RecordedEvent]) -> None:
    """Check what each worker was given: the checkpoint and the patches since, and the signals."""
    for started in events:
        if started.type != "node.started":
            continue
        before = events[: started.data["as_of"]]
        place = max(n for n, event in enumerate(before) if event.type == "run.paused")
        state = before[place].data["state"]
        for event in before[place + 1 :]:
            state = state | (event.data.get("patch") or {})
        assert started.data["state"] == state
        pause_id = started.data["pause_id"]
        if pause_id is None:  # it was taken from another worker
            continue
        later = [e for e in before[place:] if e.data.get("pause_id") == pause_id]
        assert types(later)[0] == "run.paused"
        assert types(later)[-1] == "run.resumed"
        assert started.data["restored"] == ("run.restored" in types(later))
        assert started.data["signals"] == later[-1].data.get("consumed", [])


def told_the_truth(
    events: Sequence[RecordedEvent],
    told: Sequence[tuple[str, str, list[Any]]],
    survivors: Collection[str],
) -> None:
    """Check that whatever a process was told is so, and that the winner of each pause was told."""
    by_id = {event.id: event for event in events}
    resumed = {e.data["pause_id"]: e for e in events if e.type == "run.resumed"}
    winners = Counter[str]()
    for name, what, more in told:
        if what in ("won", "lost"):
            pause_id, cause, actor = more
            data = resumed[pause_id].data
            assert (cause, actor) == (data["cause"], data.get("actor")), (name, what)
            winners[pause_id] += what == "won"
        elif what == "worked":
            assert events[more[0] - 1].data["worker"] == name
        elif what in ("ended", "aborted"):
            assert events[more[-1] - 1].type == f"run.{'completed' if what == 'ended' else what}"
        elif what == "paused":
            assert events[more[1] - 1].data["pause_id"] == more[0]
        elif what == "expired":
            _is_expired(events, more)
        elif what == "delivered":
            _is_delivered(by_id, resumed, more)
    for pause_id, event in resumed.items():
        named = (event.data.get("actor") or "").rpartition("-")[0] in survivors
        assert named <= winners[pause_id] <= 1, (pause_id, winners)


def _is_expired(events: Sequence[RecordedEvent], more: list[Any]) -> None:
    pause_id, version, effect = more
    kinds = {"restore": "resumed", "park": "window_expired", "fail": "failed", "abort": "aborted"}
    assert events[version - 1].type == f"run.{kinds[effect]}"
    assert [e for e in events[:version] if e.data.get("pause_id") == pause_id]


def _is_delivered(
    by_id: dict[str, RecordedEvent], resumed: dict[str, RecordedEvent], more: list[Any]
) -> None:
    source_id, outcome, event_id, version, pause_id = more
    event = by_id[event_id]
    assert (event.type, event.version) == ("signal.received", version)
    assert event.data["source_id"] == source_id
    if outcome == "resumed":
        assert event_id in resumed[pause_id].data["consumed"]
        assert resumed[pause_id].version > version
