"""Appends: what is asked, how it travels, and what comes back."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson

from eventstore.codec import append_prefix, crc_of
from eventstore.errors import InvalidArgument, InvalidEvent, RunClosed
from eventstore.events import ANY, DELETED, ENDS, ExpectedVersion, NewEvent, Position
from eventstore.events.identifiers import check_name, check_run_id, new_id
from eventstore.open_twin import open_twin
from eventstore.settings import Settings
from eventstore.timers import TIMED, TimerChange, changes_of
from eventstore.watches import WATCHING, watch_changes

_LAST = ENDS | {DELETED}


@dataclass(slots=True)
class Append:
    """One append that is asked for; see ``EventStore.append`` for what each part means.

    ``timers`` overrides the timer changes that the events would cause by themselves. ``is_copy``
    says that the events were recorded before and now become another run, whole in one append:
    there may be ``max_copied_events`` of them, and each a little larger than when it was new.
    """

    run_id: str
    events: Sequence[NewEvent] | NewEvent
    expected: Any = ANY
    idempotency_key: str | None = None
    append_id: str | None = None
    timers: Sequence[TimerChange] | None = None
    is_copy: bool = False


@dataclass(frozen=True, slots=True)
class AppendResult:
    """Where the events of an append stand.

    ``deduplicated`` says that an earlier call or attempt had written them already.
    """

    run_id: str
    first_version: int
    last_version: int
    positions: tuple[Position, ...]
    deduplicated: bool


OpenResult = open_twin(AppendResult)


class PreparedAppend(NamedTuple):
    """An append that passed every check this side can make, ready to travel."""

    run_id: str
    append_id: str
    expected: ExpectedVersion
    idempotency_key: str | None
    may_be_written: bool
    fields: Sequence[Any]
    """What the script takes after ``expected``."""
    event_count: int
    size_bytes: int
    reaches: int = 0
    """To which version the run stream must reach back, the archive having been searched before."""


def prepare(append: Append, settings: Settings) -> PreparedAppend:
    """Check an append and lay it out for the script.

    Raises ``InvalidArgument``, ``InvalidEvent``, ``InvalidRunId``, or ``RunClosed`` when an
    event follows the run's end in the same append. Nothing is written then.
    """
    run_id = check_run_id(append.run_id)
    if append.is_copy:
        settings = settings.for_copies()
    given_id = append.append_id
    append_id = new_id() if given_id is None else check_name("append_id", given_id)
    events = _checked_events(append.events, run_id, settings)
    encoded = [event.encoded for event in events]
    size_bytes = sum(map(len, encoded))
    if size_bytes > settings.max_event_bytes:
        _check_sizes(events, settings)
    key = append.idempotency_key
    fields = _options(append, events)
    fields.append(len(events))
    prefix = append_prefix(run_id.encode(), append_id.encode())
    for event in encoded:
        fields += (event, b"%08x" % crc_of(prefix, event))
    return PreparedAppend(
        run_id,
        append_id,
        ExpectedVersion.of(append.expected),
        key,
        given_id is not None,
        fields,
        len(events),
        size_bytes,
    )


def _options(append: Append, events: Sequence[NewEvent]) -> list[Any]:
    """Say what the script does beyond adding the events: by letters, then what these need.

    Few appends ask for much of it, and each word less is felt on both sides.
    """
    letters = ""
    values: list[Any] = [letters]
    types, workflow, inherits = set(), None, False
    for event in events:
        types.add(event.type)
        workflow = workflow or event.workflow_id
        inherits = inherits or event.workflow_id is None
    if append.idempotency_key is not None:
        letters += "k"
        values += (check_name("idempotency_key", append.idempotency_key), _digest(events))
    if inherits:
        letters += "i"
    if workflow is not None:
        letters += "w"
        values.append(workflow)
    if not _LAST.isdisjoint(types):
        letters += _end_of(events, append.run_id)
    timers = append.timers
    if timers is None:
        timers = () if TIMED.isdisjoint(types) else changes_of(append.run_id, events)
    watches = () if WATCHING.isdisjoint(types) else watch_changes(append.run_id, events)
    if timers or watches:
        letters += "t"
        values.append(len(timers) + len(watches))
        for change in timers:
            values += (change.operation, change.timer.member, change.value_ms)
        for watch in watches:
            values += (watch.operation, watch.holder, "\n".join(watch.members))
    values[0] = letters
    return values


def _checked_events(given: Any, run_id: str, settings: Settings) -> list[NewEvent]:
    if isinstance(given, NewEvent):
        return [given]
    if isinstance(given, (str, bytes)) or not isinstance(given, Iterable):
        raise InvalidArgument(
            f"append to {run_id!r} takes a list of NewEvent, not {type(given).__name__}"
        )
    listed = list(given)
    if not listed:
        raise InvalidEvent("an append needs at least one event", run_id=run_id)
    if len(listed) > settings.max_append_events:
        raise InvalidEvent(
            f"{len(listed)} events in one append, over {settings.max_append_events}; split it",
            run_id=run_id,
        )
    for event in listed:
        if not isinstance(event, NewEvent):
            raise InvalidEvent(f"{type(event).__name__} is no NewEvent", run_id=run_id)
    return listed


def _check_sizes(events: Sequence[NewEvent], settings: Settings) -> None:
    event = max(events, key=lambda event: len(event.encoded))
    if (size_bytes := len(event.encoded)) > settings.max_event_bytes:
        raise InvalidEvent(
            f"{event.type} is {size_bytes} bytes encoded, over {settings.max_event_bytes}; "
            "store large content elsewhere and reference it",
            type=event.type,
            size_bytes=size_bytes,
        )


def _end_of(events: Sequence[NewEvent], run_id: str) -> str:
    """Say whether the events close the run, ``c``, or delete it, ``d``; refuse more after that."""
    ends = ""
    for number, event in enumerate(events):
        if ends == "d" or (ends and event.type != DELETED):
            raise RunClosed(run_id, number)
        if event.type in _LAST:
            ends = "d" if event.type == DELETED else "c"
    return ends


def _digest(events: Sequence[NewEvent]) -> str:
    """Sum up what an idempotency key stands for.

    Ids, times and meta are left out: a caller that starts anew makes new ones for the same fact.
    """
    content = hashlib.blake2b(digest_size=8)
    for event in events:
        stored = orjson.loads(event.encoded)
        named = f"{event.type}\n{event.workflow_id or ''}\n{event.schema_version}\n"
        content.update(named.encode())
        content.update(orjson.dumps(stored["data"], option=orjson.OPT_SORT_KEYS))
        content.update(b"\n")
    return content.hexdigest()
