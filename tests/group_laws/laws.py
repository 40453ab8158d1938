"""The laws, each as a function that gives what breaks it, told to people."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

from group_laws.journal import Line

Place = tuple[str, int]
"""A run and a version."""


def not_handled(lines: Sequence[Line], wanted: Iterable[Place]) -> list[str]:
    """Each event was handled to the end, at least once; and nothing else was."""
    ended, wanted = {line.place for line in lines if line.kind == "ended"}, set(wanted)
    return [
        *(f"never handled: {place}" for place in sorted(wanted - ended)),
        *(f"handled, but not there: {place}" for place in sorted(ended - wanted)),
    ]


def out_of_order(lines: Sequence[Line]) -> list[str]:
    """Of each run, a version is begun first after the version before it was handled."""
    broken = []
    last: defaultdict[str, int] = defaultdict(int)
    """By run, the last version that was handled, all before it included."""
    for line in lines:
        if line.kind == "begun" and line.version > last[line.run_id] + 1:
            broken.append(f"{line} begun though {last[line.run_id]} was the last one handled")
        if line.kind == "ended":
            last[line.run_id] = max(last[line.run_id], line.version)
    return broken


def begun_after_acknowledged(
    lines: Sequence[Line], acknowledged_ns: Mapping[Place, int], held_up: Mapping[int, int]
) -> list[str]:
    """Nothing is begun after it, or a later version of its run, was acknowledged.

    A process that is put to sleep between its last look at the clock and the handler's first
    step begins that one late, whatever anybody does: each sleep excuses one.
    """
    soonest: dict[Place, int] = {}
    for (run_id, version), at_ns in sorted(acknowledged_ns.items(), reverse=True):
        later = soonest.get((run_id, version + 1), at_ns)
        soonest[run_id, version] = min(at_ns, later)
    excused = Counter(line.pid for line in lines if line.kind == "slept") + Counter(held_up)
    broken = []
    for line in lines:
        at_ns = soonest.get(line.place)
        if line.kind != "begun" or at_ns is None or line.at_ns <= at_ns:
            continue
        excused[line.pid] -= 1
        if excused[line.pid] < 0:
            late_ms = (line.at_ns - at_ns) / 1e6
            broken.append(f"{line} begun {late_ms:.1f} ms after it or a later one was acknowledged")
    return broken


def acknowledged_too_soon(lines: Sequence[Line], acknowledged_ns: Mapping[Place, int]) -> list[str]:
    """Nothing is acknowledged before it was handled."""
    ended: dict[Place, int] = {}
    for line in lines:
        if line.kind == "ended":
            ended.setdefault(line.place, line.at_ns)
    return [
        f"{place} acknowledged before it was handled"
        for place, at_ns in sorted(acknowledged_ns.items())
        if at_ns < ended.get(place, at_ns + 1)
    ]


def side_by_side(lines: Sequence[Line], held_up: Mapping[int, int]) -> list[str]:
    """A run is in one handler at a time, unless its process slept or died in it."""
    excused = {line.pid for line in lines if line.kind == "slept"} | set(held_up)
    broken = []
    inside: set[tuple[int, str]] = set()
    latest: dict[str, Line] = {}
    for line in lines:
        if line.kind == "slept":
            continue
        here = (line.pid, line.run_id)
        if line.kind == "begun":
            if here in inside:
                broken.append(f"{line} begun while the same process was in that run")
            inside.add(here)
            latest[line.run_id] = line
        else:
            other = latest[line.run_id]
            if other.pid != line.pid and line.pid not in excused:
                broken.append(f"{line} beside {other}")
            inside.discard(here)
    return broken


def epochs_go_back(lines: Sequence[Line], held_up: Mapping[int, int]) -> list[str]:
    """Who begins an event has the highest epoch of its partition, unless it slept."""
    excused = {line.pid for line in lines if line.kind == "slept"} | set(held_up)
    broken = []
    highest: dict[int, Line] = {}
    for line in lines:
        if line.kind != "begun":
            continue
        other = highest.get(line.partition)
        if other and line.epoch < other.epoch and line.pid not in excused:
            broken.append(f"{line} begun after {other}")
        if other and line.epoch == other.epoch and line.pid != other.pid:
            broken.append(f"{line} has the epoch of {other}")
        if other is None or line.epoch > other.epoch:
            highest[line.partition] = line
    return broken
