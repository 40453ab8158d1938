"""Watches of runs for signals, as plans that both forms of ``RunControl`` run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from eventstore import InvalidArgument, NewEvent, RunClosed, WrongExpectedVersion
from eventstore.checks import check_count
from eventstore.events.identifiers import check_name, new_id
from eventstore.operations import Operations
from eventstore.plan import Plan
from eventstore.watch_commands import watchers_page
from eventstore.watches import Watcher, prefix_of
from projections.state import RunState
from replay.recording import MAX_CONFLICTS, append_and_apply, load_state


@dataclass(frozen=True, slots=True)
class Watching:
    """A watch that was set, recorded at ``version``."""

    run_id: str
    watch_id: str
    version: int


def watch(
    operations: Operations,
    run_id: str,
    signal_type: str,
    conditions: Sequence[Mapping[str, Any]],
    watch_id: str | None,
    *,
    dry_run: bool = False,
) -> Plan[Watching]:
    """Let a run take signals of a type from now on; a dry run only checks whether it could."""
    watch_id = new_id() if watch_id is None else check_name("watch_id", watch_id)
    data = {"watch_id": watch_id, "type": signal_type, "conditions": list(conditions)}
    event = NewEvent("signal.watched", data)
    room = _room(operations, watch_id)
    version = yield from _record(operations, run_id, event, room, dry_run=dry_run)
    return Watching(run_id, watch_id, version)


def _room(operations: Operations, watch_id: str) -> Callable[[RunState], bool]:
    def check(state: RunState) -> bool:
        most = operations.settings.max_watches
        if watch_id not in state.watches and len(state.watches) >= most:
            raise InvalidArgument(
                f"run {state.run_id!r} has {most} watches; take some away first (unwatch), or "
                "raise max_watches",
                run_id=state.run_id,
                limit=most,
            )
        return True

    return check


def unwatch(
    operations: Operations, run_id: str, watch_id: str, *, dry_run: bool = False
) -> Plan[bool]:
    """Let a run take no more signals by a watch; False if it has no such watch."""
    event = NewEvent("signal.unwatched", {"watch_id": check_name("watch_id", watch_id)})

    def is_there(state: RunState) -> bool:
        return watch_id in state.watches

    return bool((yield from _record(operations, run_id, event, is_there, dry_run=dry_run)))


def watchers(operations: Operations, signal_type: str, limit: int) -> Plan[list[Watcher]]:
    """Give up to ``limit`` entries of those who watch for a type, by the index."""
    check_name("type", signal_type)
    check_count("limit", limit)
    keys, prefix = operations.keys, prefix_of(signal_type).rstrip("\0") + "\0"
    pages: list[tuple[list[Watcher], object]] = yield [
        watchers_page(keys, partition, prefix, None, limit) for partition in range(keys.partitions)
    ]
    return [watcher for page, _ in pages for watcher in page][:limit]


def _record(
    operations: Operations,
    run_id: str,
    event: NewEvent,
    wanted: Callable[[RunState], bool],
    *,
    dry_run: bool,
) -> Plan[int]:
    """Append an event where it is wanted, and give its version; else 0."""
    for _ in range(MAX_CONFLICTS):
        state = yield from load_state(operations, run_id)
        if state.ended_ms is not None:
            raise RunClosed(run_id, state.version)
        if not wanted(state):
            return 0
        if dry_run:
            return state.version + 1
        try:
            result = yield from append_and_apply(operations, state, [event])
        except WrongExpectedVersion as conflict:
            lost = conflict
        else:
            return result.last_version
    raise lost
