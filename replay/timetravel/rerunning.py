"""Running a run again from one of its nodes: what of its history stays, told by events alone.

The events before the node first appears all stay. Of the later ones those of other nodes stay
whose activation did not come of the node: it began before, or what it says of its cause or its
inputs leads to what stays. An activation that says neither may have come of the node, so it goes.
What belongs to no node (pauses, checkpoints, signals, the end) goes too: it may hold what the
cleared nodes did.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from typing import Any

from eventstore import InvalidArgument, RecordedEvent
from eventstore.operations import Operations
from eventstore.plan import Plan
from replay.timetravel.forking import Fork, Order, copy, events_until

_OVER = frozenset({"node.completed", "node.skipped"})


def rerun(
    operations: Operations, run_id: str, node_id: str, keep: Collection[str], order: Order
) -> Plan[Fork]:
    """Fork a run without what a node and its descendants did."""
    events = yield from events_until(operations, run_id, None)
    first = _first_of(events, node_id)
    _check_keep(events, node_id, keep)
    before = events[: first - 1]
    if not before:
        raise InvalidArgument(
            f"run {run_id!r} begins with node {node_id!r}, so nothing would be left; begin a new "
            "run",
            run_id=run_id,
            node_id=node_id,
        )
    choice = Choice(before, node_id, keep)
    after = [event for event in events[first - 1 :] if choice.stays(event)]
    made = yield from copy(operations, [*before, *after], len(before), order)
    return replace(made, cleared=tuple(sorted(choice.cleared)), kept=tuple(sorted(choice.kept)))


class Choice:
    """Says of a run's later events, one after the other, which of them stay."""

    def __init__(
        self, before: Sequence[RecordedEvent], node_id: str, keep: Collection[str]
    ) -> None:
        self._node_id = node_id
        self._keep = frozenset(keep)
        self._calls: dict[str, str] = {}
        """The node of each call."""
        self._open: dict[str, bool] = {}
        """Nodes with an activation that goes on, and whether it stays."""
        self._staying: dict[str, bool] = {}
        """Of each event, by its id, whether it stays."""
        self._last: dict[str, bool] = {}
        """Whether what a node did last stays."""
        self.cleared: set[str] = {node_id}
        self.kept: set[str] = set()
        for event in before:
            self._take(event, self._node_of(event), stays=True)

    def stays(self, event: RecordedEvent) -> bool:
        """Say whether the run's next event stays."""
        node = self._node_of(event)
        stays = node is not None and self._node_stays(event, node)
        self._take(event, node, stays=stays)
        if node is not None:
            (self.kept if stays else self.cleared).add(node)
        return stays

    def _node_of(self, event: RecordedEvent) -> str | None:
        node = event.data.get("node_id")
        if isinstance(node, str) and not event.type.startswith("run."):
            return node
        return self._calls.get(str(event.data.get("call_id")))

    def _node_stays(self, event: RecordedEvent, node: str) -> bool:
        if node == self._node_id:
            return False
        if node in self._keep:
            return True
        if node in self._open:
            return self._open[node]
        if not event.type.startswith("node."):
            return self._last.get(node, False)  # a late word of an activation that is over
        return self._comes_of_what_stays(event)

    def _comes_of_what_stays(self, event: RecordedEvent) -> bool:
        """Follow what the beginning of an activation says of where it comes from."""
        cause = self._staying.get(str(event.meta.get("causation_id")))
        sources = [self._last[node] for node in _names(event.data.get("inputs"), self._last)]
        known = sources if cause is None else [cause, *sources]
        return bool(known) and all(known)

    def _take(self, event: RecordedEvent, node: str | None, *, stays: bool) -> None:
        self._staying[event.id] = stays
        if node is None:
            return
        if event.type == "call.started":
            self._calls[str(event.data.get("call_id"))] = node
        if not event.type.startswith("node."):
            return
        self._last[node] = stays
        failed = event.type == "node.failed" and not event.data.get("will_retry")
        if event.type in _OVER or failed:
            self._open.pop(node, None)
        else:
            self._open.setdefault(node, stays)


def _names(inputs: Any, nodes: Collection[str]) -> Iterator[str]:
    """Find the nodes that inputs name, as keys or as values, however deep."""
    waiting = [inputs]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            waiting += [*part.keys(), *part.values()]
        elif isinstance(part, list):
            waiting += part
        elif isinstance(part, str) and part in nodes:
            yield part


def _first_of(events: Sequence[RecordedEvent], node_id: str) -> int:
    """Give the version of the first event that names a node."""
    for event in events:
        if event.type.startswith("node.") and event.data.get("node_id") == node_id:
            return event.version
    raise InvalidArgument(
        f"run {events[0].run_id!r} has no node {node_id!r}; it has: {_listed(events)}",
        run_id=events[0].run_id,
        node_id=node_id,
    )


def _check_keep(events: Sequence[RecordedEvent], node_id: str, keep: Collection[str]) -> None:
    if isinstance(keep, str):
        raise InvalidArgument(f"keep takes a list of nodes, not the text {keep!r}")
    if node_id in keep:
        raise InvalidArgument(f"node {node_id!r} is to run again, so it cannot be kept")
    unknown = sorted(set(keep) - _nodes(events))
    if unknown:
        raise InvalidArgument(
            f"run {events[0].run_id!r} has no node {unknown[0]!r} to keep; it has: "
            f"{_listed(events)}",
            run_id=events[0].run_id,
            node_id=unknown[0],
        )


def _nodes(events: Sequence[RecordedEvent]) -> set[str]:
    return {event.data["node_id"] for event in events if event.type.startswith("node.")
            and isinstance(event.data.get("node_id"), str)}  # fmt: skip


def _listed(events: Sequence[RecordedEvent]) -> str:
    return ", ".join(sorted(_nodes(events))[:20]) or "none"
