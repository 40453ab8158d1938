"""Consumer groups as people and programs see them on the command line."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from replay.cli.group_advice import is_left, next_steps, partitions_text
from replay.cli.output import Cell, facts, note, printable, table

if TYPE_CHECKING:
    from eventstore.groups.status import GroupStatus, PartitionLag
    from replay.cli.parked_view import ParkedError

UNKNOWN = "?"
_MAX_SILENT_MEMBERS = 5

_TOTALS = (
    "lag_events",
    "lag_ms",
    "pending",
    "oldest_pending_ms",
    "parked",
    "redriving",
    "live_members",
    "stalled",
    "problems",
)


def group_as_json(group: GroupStatus) -> dict[str, Any]:
    """Give all that is known of a group: positions as text, totals beside the partitions."""
    partitions = [
        asdict(one) | {"done": text_of(one.done), "tail": str(one.tail)} for one in group.partitions
    ]
    resets = [asdict(one) | {"came_from": list(map(str, one.came_from))} for one in group.resets]
    totals = {name: getattr(group, name) for name in _TOTALS}
    return asdict(group) | {"partitions": partitions, "resets": resets} | totals


def print_groups(groups: Iterable[GroupStatus]) -> None:
    """Print a line for each group."""
    groups = list(groups)
    if not groups:
        note("there are no consumer groups yet: 'runstore groups create' makes one")
    table(
        ("group", "live members", "behind", "for", "pending", "parked", "state"),
        [
            (
                group.name,
                len(group.live_members),
                events_text(group),
                _age(group.partitions),
                group.pending,
                group.parked,
                _group_state(group),
            )
            for group in groups
        ],
    )
    if any(group.problems or group.stalled or any(next_steps(group)) for group in groups):
        note("next: 'runstore groups show GROUP' tells why, and what to do")


def print_group(group: GroupStatus, errors: Sequence[ParkedError]) -> None:
    """Print all of a group: what is wrong first, then a line for each partition."""
    silent = len(group.members) - len(group.live_members)
    redriving = f", {group.redriving:,} to be redriven" if group.redriving else ""
    age = _age(group.partitions)
    facts(
        [
            ("group", group.name),
            ("state", _group_state(group)),
            ("behind", f"{events_text(group)} events{f', the first for {age}' if age else ''}"),
            ("pending", _pending(group)),
            ("parked runs", f"{group.parked:,}{redriving}"),
            ("members", f"{len(group.live_members)} live, {silent} silent"),
            ("created", group.created),
            ("began at", group.start),
        ]
    )
    for partition, problem in group.problems.items():
        click.echo(f"wrong: partition {partition}: {problem}")
    click.echo()
    _print_partitions(group.partitions)
    _print_members(group)
    _print_errors(group, errors)
    _print_resets(group)
    for step in next_steps(group):
        note(printable(f"next: {step}"))


def events_text(group: GroupStatus) -> str:
    """Write how many events wait, or how many at least."""
    known = sum(one.lag_events or 0 for one in group.partitions)
    return f"over {known:,}" if group.lag_events is None else f"{known:,}"


def _print_partitions(partitions: Sequence[PartitionLag]) -> None:
    def urgency(one: PartitionLag) -> tuple[bool, bool, bool, int]:
        return (one.problem is None, not one.stalled, not is_left(one), one.partition)

    table(
        ("partition", "state", "behind", "for", "pending", "longest", "parked", "owner", "lease",
         "epoch", "done"),
        [
            (
                one.partition,
                _partition_state(one),
                UNKNOWN if one.lag_events is None else one.lag_events,
                _age([one]),
                one.pending,
                _duration(one.oldest_pending_ms) if one.pending else None,
                one.parked,
                one.owner,
                _lease(one),
                str(one.epoch),
                one.done.entry_id if one.done else UNKNOWN,
            )
            for one in sorted(partitions, key=urgency)
        ],
    )  # fmt: skip


def _print_members(group: GroupStatus) -> None:
    if not group.members:
        return
    silent = sorted((one for one in group.members if not one.live), key=lambda m: m.silent_ms)
    shown = [one for one in group.members if one.live] + silent[:_MAX_SILENT_MEMBERS]
    click.echo()
    table(
        ("member", "state", "last heard", "partitions"),
        [
            (
                member.name,
                "live" if member.live else "silent",
                f"{_duration(member.silent_ms)} ago",
                ", ".join(map(str, member.partitions)),
            )
            for member in shown
        ],
        "members",
    )
    if len(silent) > _MAX_SILENT_MEMBERS:
        click.echo(f"  and {len(silent) - _MAX_SILENT_MEMBERS:,} that are silent for longer")


def _print_errors(group: GroupStatus, errors: Sequence[ParkedError]) -> None:
    if not errors:
        return
    looked_at = sum(one.runs for one in errors)
    part = f", of the latest {looked_at:,}" if looked_at < group.parked else ""
    click.echo()
    table(
        ("runs", "failed", "latest", "such as run", "error"),
        [(one.runs, one.type, one.latest, one.run_id, one.error) for one in errors],
        f"parked, by error{part}",
    )


def _print_resets(group: GroupStatus) -> None:
    if group.resets:
        click.echo()
        table(
            ("when", "by", "to", "partitions"),
            [(one.at, one.by, one.to, len(one.came_from)) for one in reversed(group.resets)],
            "resets, the latest first",
        )


def _group_state(group: GroupStatus) -> str:
    bad = {"wrong": tuple(group.problems), "stalled": group.stalled}
    if any(bad.values()):
        return ", ".join(
            f"{how} on {partitions_text(which)}" for how, which in bad.items() if which
        )
    if group.lag_events and not group.live_members:
        return "no live member"
    left = [one.partition for one in group.partitions if is_left(one)]
    if left:
        return f"nobody has {partitions_text(left)}"
    return "behind" if group.lag_events else "up to date"


def _partition_state(one: PartitionLag) -> str:
    if one.problem is not None:
        return "wrong"
    if one.stalled:
        return "stalled"
    if is_left(one):
        return "nobody has it"
    if one.mode == "archive":
        return "from archive"
    return "behind" if one.lag_events else "up to date"


def _age(partitions: Sequence[PartitionLag]) -> str | None:
    """Say for how long the oldest event waits."""
    waiting = [one for one in partitions if one.lag_ms]
    if not waiting:
        return None
    oldest = max(waiting, key=lambda one: one.lag_ms or 0)
    return f"{'over ' if oldest.lag_ms_is_least else ''}{_duration(oldest.lag_ms or 0)}"


def _pending(group: GroupStatus) -> str:
    if not group.pending:
        return "0"
    return f"{group.pending:,}, the longest for {_duration(group.oldest_pending_ms)}"


def _lease(one: PartitionLag) -> Cell:
    if one.leased_for_ms:
        return f"{_duration(one.leased_for_ms)} left"
    return "ended" if one.owner else "free"


def _duration(length_ms: int) -> str:
    from replay.axis import duration  # noqa: PLC0415 - it loads the read side

    return duration(length_ms)


def text_of(position: object | None) -> str | None:
    """Write a position, if there is one."""
    return None if position is None else str(position)
